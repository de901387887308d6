#include "signed_text.hpp"

#include <algorithm>
#include <charconv>

namespace fallow::sdk {

SignedTextReader::SignedTextReader(std::string_view text, std::string_view form) : rest_(text) {
    const auto first = line();
    if (!first || *first != form) fail();
}

std::optional<std::string_view> SignedTextReader::line() {
    const auto end = rest_.find('\n');
    if (!ok_ || end == std::string_view::npos) {
        fail();
        return std::nullopt;
    }
    const std::string_view taken = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return taken;
}

bool SignedTextReader::next_is(std::string_view name) const {
    return ok_ && rest_.starts_with(name) && rest_.substr(name.size()).starts_with(": ");
}

std::string SignedTextReader::value(std::string_view name) {
    if (!next_is(name)) {
        fail();
        return {};
    }
    const auto taken = line();
    if (!taken) return {};
    const std::string_view text = taken->substr(name.size() + 2);
    const bool printable =
        std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
    if (text.empty() || text.front() == ' ' || text.back() == ' ' || !printable) {
        fail();
        return {};
    }
    return std::string(text);
}

std::int64_t SignedTextReader::number(std::string_view name) {
    const auto parsed = parse_natural(value(name));
    if (!parsed) fail();
    return parsed.value_or(0);
}

std::optional<std::int64_t> parse_natural(std::string_view text) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool canonical = text == "0" || (!text.empty() && text.front() >= '1' && text.front() <= '9');
    if (!canonical || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return number;
}

bool is_moment(std::string_view text) {
    constexpr std::string_view form = "0000-00-00T00:00:00.000Z";
    return text.size() == form.size() &&
           std::equal(text.begin(), text.end(), form.begin(),
                      [](char c, char f) { return f == '0' ? c >= '0' && c <= '9' : c == f; });
}

std::optional<HostKeyStatement> parse_host_key_statement(std::string_view text) {
    SignedTextReader reader(text, "fallow-host-key-v1");
    HostKeyStatement statement;
    statement.host = reader.value("host");
    statement.key = reader.value("key");
    if (!is_moment(reader.value("registered_at"))) reader.fail();
    if (!reader.finished()) return std::nullopt;
    return statement;
}

std::optional<UsageStatement> parse_usage_statement(std::string_view text) {
    const bool has_traffic = !text.starts_with("fallow-usage-v1\n");
    SignedTextReader reader(text, has_traffic ? "fallow-usage-v2" : "fallow-usage-v1");
    UsageStatement statement;
    statement.lease = reader.value("lease");
    static_cast<void>(reader.number("epoch"));
    static_cast<void>(reader.value("container"));
    static_cast<void>(reader.value("boot"));
    static_cast<void>(reader.value("nonce"));
    static_cast<void>(reader.number("sequence"));
    statement.running_ms = reader.number("running_ms");
    if (has_traffic) statement.egress_bytes = reader.number("egress_bytes");
    const std::string final_text = reader.value("final");
    if (final_text != "true" && final_text != "false") reader.fail();
    statement.is_final = final_text == "true";
    if (!reader.finished()) return std::nullopt;
    return statement;
}

}  // namespace fallow::sdk

#include "api/usage_statement.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace fallow::api {
namespace {

constexpr std::size_t word_bytes_max = 128;
constexpr std::size_t nonce_digits = 32;

/// Takes one "name: value\n" after the other; the first that does not fit is remembered.
class Lines {
  public:
    explicit Lines(std::string_view text) : rest_(text) {}

    std::string_view line() {
        const std::size_t end = rest_.find('\n');
        if (end == std::string_view::npos) {
            fail("a line end");
            return {};
        }
        const std::string_view found = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return found;
    }
    std::string_view value(std::string_view name) {
        const std::string_view found = line();
        if (found.size() > name.size() + 2 && found.starts_with(name) &&
            found.substr(name.size(), 2) == ": ")
            return found.substr(name.size() + 2);
        fail(name);
        return {};
    }
    std::string word(std::string_view name) {
        const std::string_view found = value(name);
        const auto fits = [](char c) { return c > ' ' && c < 0x7f; };
        if (found.size() > word_bytes_max || !std::ranges::all_of(found, fits)) fail(name);
        return std::string(found);
    }
    std::int64_t number(std::string_view name) {
        const std::string_view found = value(name);
        std::int64_t parsed = -1;
        const auto [end, error] = std::from_chars(found.data(), found.data() + found.size(), parsed);
        const bool canonical =
            found == "0" || (!found.empty() && found.front() >= '1' && found.front() <= '9');
        if (error != std::errc() || end != found.data() + found.size() || !canonical) fail(name);
        return parsed;
    }
    void fail(std::string_view what) {
        if (wrong_.empty()) wrong_ = what;
    }
    void finish() {
        if (!rest_.empty()) fail("the end");
    }
    [[nodiscard]] const std::string& wrong() const { return wrong_; }

  private:
    std::string_view rest_;
    std::string wrong_;
};

bool is_nonce(std::string_view text) {
    return text.size() == nonce_digits && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

}  // namespace

Result<market::ReportUsage> parse_usage_statement(std::string_view text) {
    Lines lines(text);
    market::ReportUsage usage;
    const std::string_view form = lines.line();
    const bool tells_traffic = form == "fallow-usage-v2";
    if (!tells_traffic && form != "fallow-usage-v1") lines.fail("fallow-usage-v2");
    const auto lease = LeaseId::parse(lines.value("lease"));
    if (!lease) lines.fail("lease");
    usage.lease_epoch = lines.number("epoch");
    usage.container = lines.word("container");
    usage.boot = lines.word("boot");
    usage.nonce = lines.word("nonce");
    if (!is_nonce(usage.nonce)) lines.fail("nonce");
    usage.sequence = lines.number("sequence");
    usage.running = Millis(lines.number("running_ms"));
    if (tells_traffic) usage.egress_bytes = lines.number("egress_bytes");
    const std::string_view final = lines.value("final");
    if (final != "true" && final != "false") lines.fail("final");
    lines.finish();
    if (!lines.wrong().empty())
        return refuse(ErrorCode::invalid_field,
                      fmt::format("The usage statement is wrong at \"{}\"; write it as the API describes.",
                                  lines.wrong()),
                      "/statement");
    usage.lease = *lease;
    usage.final = final == "true";
    usage.statement = std::string(text);
    return usage;
}

}  // namespace fallow::api

#include "api/cursor.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "auth/base64.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr std::size_t cursor_bytes_max = 256;

std::optional<std::int64_t> parse_integer(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

/// base64url without padding, through the standard alphabet's strict decoder.
std::optional<std::string> decode_base64url(std::string_view text) {
    if (!std::ranges::all_of(text, auth::is_base64url_digit)) return std::nullopt;
    std::string standard(text);
    std::ranges::replace(standard, '-', '+');
    std::ranges::replace(standard, '_', '/');
    standard.append((4 - standard.size() % 4) % 4, '=');
    return auth::base64_decode(standard);
}

std::string_view take_part(std::string_view& rest) {
    const std::size_t bar = rest.find('|');
    const std::string_view part = rest.substr(0, bar);
    rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
    return part;
}

std::optional<CursorKey> parse_key(std::string_view tag, std::string_view content, std::size_t numbers) {
    if (take_part(content) != tag) return std::nullopt;
    CursorKey key;
    for (std::size_t i = 0; i < numbers; ++i) {
        const auto number = parse_integer(take_part(content));
        if (!number) return std::nullopt;
        key.numbers.push_back(*number);
    }
    const auto id = parse_uuid(content);
    if (!id) return std::nullopt;
    key.id = *id;
    return key;
}

}  // namespace

std::string encode_cursor(std::string_view tag, const CursorKey& key) {
    std::string content(tag);
    for (const std::int64_t number : key.numbers)
        content += "|" + std::to_string(number);
    content += "|" + format_uuid(key.id);
    return auth::base64url_encode(content);
}

Result<CursorKey> decode_cursor(std::string_view tag, std::string_view text, std::size_t numbers) {
    std::optional<CursorKey> key;
    if (text.size() <= cursor_bytes_max)
        if (const auto content = decode_base64url(text)) key = parse_key(tag, *content, numbers);
    if (!key)
        return refuse(ErrorCode::invalid_cursor,
                      "Give the next_cursor of an earlier page of this same list, or none for its start.",
                      "query:cursor");
    return *key;
}

Result<PageRequest> read_page(const http::Request& request, std::string_view tag, std::size_t numbers) {
    const auto limit =
        query_integer(request, "limit", limits::page_items_default, 1, limits::page_items_max);
    if (!limit) return limit.error();
    PageRequest page{*limit, std::nullopt};
    if (const std::string* text = request.query_value("cursor")) {
        auto key = decode_cursor(tag, *text, numbers);
        if (!key) return key.error();
        page.after = std::move(*key);
    }
    return page;
}

Status check_query(const http::Request& request, const std::vector<std::string_view>& known) {
    std::set<std::string_view> seen;
    for (const auto& [name, value] : request.query) {
        if (std::ranges::find(known, name) == known.end())
            return refuse(ErrorCode::unknown_field,
                          fmt::format("The query parameter \"{}\" is not known here; leave it out.", name),
                          "query:" + name);
        if (!seen.insert(name).second)
            return refuse(ErrorCode::invalid_field, "Give each query parameter once.", "query:" + name);
    }
    return Done{};
}

Result<std::int64_t> query_integer(const http::Request& request, std::string_view name,
                                   std::int64_t otherwise, std::int64_t min, std::int64_t max) {
    const std::string* text = request.query_value(name);
    if (text == nullptr) return otherwise;
    const auto value = parse_integer(*text);
    if (!value || *value < min || *value > max)
        return refuse(ErrorCode::invalid_field, fmt::format("Give a whole number from {} to {}.", min, max),
                      fmt::format("query:{}", name));
    return *value;
}

}  // namespace fallow::api

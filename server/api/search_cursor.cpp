#include "api/search_cursor.hpp"

#include <algorithm>
#include <charconv>

#include "auth/base64.hpp"
#include "auth/sha256.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

using market::search::Cell;
using market::search::Position;

constexpr std::size_t digest_digits = 16;

std::string digest(std::string_view request) {
    return auth::sha256_hex(request).substr(0, digest_digits);
}

/// "u" unknown, "n-5" a number, "t6162" a text in hex.
std::string cell_text(const Cell& cell) {
    if (const auto* number = std::get_if<std::int64_t>(&cell)) return "n" + std::to_string(*number);
    if (const auto* text = std::get_if<std::string>(&cell)) return "t" + auth::to_hex(*text);
    return "u";
}

std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<Cell> cell_of(std::string_view text, market::search::Kind kind) {
    const bool is_text = kind == market::search::Kind::text;
    if (text == "u") return Cell();
    if (text.starts_with('n') && !is_text) {
        const auto number = number_of(text.substr(1));
        return number ? std::optional<Cell>(*number) : std::nullopt;
    }
    if (text.starts_with('t') && is_text) {
        auto bytes = auth::from_hex(text.substr(1));
        return bytes ? std::optional<Cell>(*std::move(bytes)) : std::nullopt;
    }
    return std::nullopt;
}

std::vector<std::string_view> parts_of(std::string_view text) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t bar = text.find('|');
        parts.push_back(text.substr(0, bar));
        if (bar == std::string_view::npos) return parts;
        text.remove_prefix(bar + 1);
    }
}

std::optional<Position> parse(std::string_view request, const market::search::Query& query,
                              std::string_view content) {
    const std::vector<std::string_view> parts = parts_of(content);
    const std::vector<market::search::OrderKey> keys = market::search::order_of(query);
    if (parts.size() != keys.size() + 5 || parts[0] != digest(request)) return std::nullopt;
    const auto first = number_of(parts[1]);
    const auto served = number_of(parts[2]);
    const auto listing = parse_uuid(parts[parts.size() - 2]);
    const auto card = parse_uuid(parts.back());
    if (!first || !served || !listing || !card || *first < 0 || *served < 0) return std::nullopt;
    Position position{*first, *served, {}, ListingId(*listing), CardId(*card)};
    for (std::size_t i = 0; i < keys.size(); ++i) {
        auto cell = cell_of(parts[i + 3], keys[i].field->kind);
        if (!cell) return std::nullopt;
        position.keys.push_back(*std::move(cell));
    }
    return position;
}

}  // namespace

std::string encode_search_cursor(std::string_view request, const Position& position) {
    std::string content = digest(request) + "|" + std::to_string(position.first_sequence) + "|" +
                          std::to_string(position.served);
    for (const Cell& cell : position.keys)
        content += "|" + cell_text(cell);
    content += "|" + format_uuid(position.listing.raw) + "|" + format_uuid(position.card.raw);
    return auth::base64url_encode(content);
}

Result<Position> decode_search_cursor(std::string_view request, const market::search::Query& query,
                                      std::string_view text) {
    std::optional<Position> position;
    if (text.size() <= limits::search_cursor_bytes_max &&
        std::ranges::all_of(text, auth::is_base64url_digit)) {
        std::string standard(text);
        std::ranges::replace(standard, '-', '+');
        std::ranges::replace(standard, '_', '/');
        standard.append((4 - standard.size() % 4) % 4, '=');
        if (const auto content = auth::base64_decode(standard)) position = parse(request, query, *content);
    }
    if (!position)
        return refuse(ErrorCode::invalid_cursor,
                      "Give the next_cursor of an earlier page of this same search, or none for its start.",
                      "query:cursor");
    return *position;
}

}  // namespace fallow::api

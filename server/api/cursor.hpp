// Page cursors: opaque to callers, base64url of a route's tag and the sort key of the page's last row. A
// cursor is only good on the route that made it; nothing in it is a secret, and nothing it holds widens
// what its bearer may see.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::api {

/// The sort key after which a page starts: numbers, then the id that makes it unique.
struct CursorKey {
    std::vector<std::int64_t> numbers;
    RawId id;
    friend bool operator==(const CursorKey&, const CursorKey&) = default;
};

/// `tag` is short, and holds no '|'.
[[nodiscard]] std::string encode_cursor(std::string_view tag, const CursorKey& key);
/// invalid_cursor at "query:cursor" unless the text is one that encode_cursor made for this tag and this
/// many numbers.
[[nodiscard]] Result<CursorKey> decode_cursor(std::string_view tag, std::string_view text,
                                              std::size_t numbers);

/// What a list was asked for: `?limit=1..100&cursor=…`.
struct PageRequest {
    std::int64_t limit = 0;
    std::optional<CursorKey> after;
};
[[nodiscard]] Result<PageRequest> read_page(const http::Request& request, std::string_view tag,
                                            std::size_t numbers);

/// invalid_field at "query:NAME" when a parameter that is not in `known` stands in the query, or one stands
/// twice.
[[nodiscard]] Status check_query(const http::Request& request, const std::vector<std::string_view>& known);

/// A whole number in the query, or `otherwise`.
[[nodiscard]] Result<std::int64_t> query_integer(const http::Request& request, std::string_view name,
                                                 std::int64_t otherwise, std::int64_t min,
                                                 std::int64_t max);

}  // namespace fallow::api

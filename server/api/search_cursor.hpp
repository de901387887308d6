// Cursors of GET /v1/search: where the page ended in the order that its query asks for, how many rows came
// before, and the journal record that the first page was read at.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "market/search/index.hpp"

namespace fallow::api {

/// `request` is what the cursor is good for: the query and whatever else decides what is found.
[[nodiscard]] std::string encode_search_cursor(std::string_view request,
                                               const market::search::Position& position);
/// invalid_cursor at "query:cursor" unless encode_search_cursor made it for this request.
[[nodiscard]] Result<market::search::Position> decode_search_cursor(std::string_view request,
                                                                    const market::search::Query& query,
                                                                    std::string_view text);

}  // namespace fallow::api

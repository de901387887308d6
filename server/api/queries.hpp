// Reads in the shapes that several routes share: one row by id, a page of rows newest first, a list as a
// reply.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/cursor.hpp"
#include "api/json_writer.hpp"
#include "api/reply.hpp"
#include "api/route.hpp"
#include "store/row_reader.hpp"

namespace fallow::api {

/// The row with this id, as far as the transaction's role sees it; not_found otherwise.
template <class Row, class AnyId>
[[nodiscard]] Result<Row> find_row(store::Transaction& tx, const AnyId& id, const char* key = "id") {
    const auto result = tx.query("SELECT " + store::select_list<Row>() + " FROM " +
                                     std::string(Row::table) + " WHERE " + key + " = $1",
                                 id);
    if (result.empty())
        return refuse(ErrorCode::not_found, "There is no such " + std::string(AnyId::prefix) + ".");
    return store::read_row<Row>(result[0]);
}

/// SQL that continues "… WHERE something" (or is the whole condition when `where` is empty): rows after the
/// page's position, newest first, one more than the page holds. Parameters are appended.
[[nodiscard]] std::string newest_first(const std::string& where, const std::string& time_column,
                                       const PageRequest& page, store::Parameters& parameters);

/// At most limit + 1 rows, newest first by `time_column`, then id.
template <class Row>
[[nodiscard]] std::vector<Row> read_newest(store::Transaction& tx, const std::string& where,
                                           store::Parameters parameters, const std::string& time_column,
                                           const PageRequest& page) {
    const std::string tail = newest_first(where, time_column, page, parameters);
    return store::read_all<Row>(tx.query_with(
        "SELECT " + store::select_list<Row>() + " FROM " + std::string(Row::table) + tail, parameters));
}

/// {"items":[…],"next_cursor":…}. `rows` holds one more than the page when there is a next one.
template <class Row, class Write, class Key>
[[nodiscard]] http::Reply list_reply(const std::vector<Row>& rows, std::int64_t limit, std::string_view tag,
                                     Write&& write_item, Key&& key_of) {
    const bool has_more = std::ssize(rows) > limit;
    const std::size_t shown = has_more ? static_cast<std::size_t>(limit) : rows.size();
    JsonWriter json(256 * shown + 64);
    json.begin_object().key("items").begin_array();
    for (std::size_t i = 0; i < shown; ++i)
        write_item(json, rows[i]);
    json.end_array().key("next_cursor");
    if (has_more)
        json.value(encode_cursor(tag, key_of(rows[shown - 1])));
    else
        json.null();
    json.end_object();
    return json_reply(json.take());
}

/// A page of what a role sees of one table, for the routes that need no more than that.
template <class Row, class Write>
[[nodiscard]] Result<http::Reply> newest_page(JobCall& call, std::string_view tag, const std::string& where,
                                              store::Parameters parameters, const std::string& time_column,
                                              Time Row::*time, Write&& write_item) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), tag, 1);
    if (!page) return page.error();
    const auto rows = read_newest<Row>(call.tx, where, std::move(parameters), time_column, *page);
    return list_reply(rows, page->limit, tag, write_item, [&](const Row& row) {
        return CursorKey{{(row.*time).ms}, row.id.raw};
    });
}

}  // namespace fallow::api

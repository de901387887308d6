// Pages of rows, newest first, by keyset: a page starts after the last row of the one before, wherever that
// is now.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/accounts.hpp"
#include "store/row_reader.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

/// Rows of `Row`'s table; `tail` starts with WHERE or ORDER BY.
template <class Row, class... Values>
[[nodiscard]] std::vector<Row> read_rows(Transaction& tx, const std::string& tail,
                                         const Values&... values) {
    return read_all<Row>(tx.query(
        "SELECT " + select_list<Row>() + " FROM " + std::string(Row::table) + " " + tail, values...));
}

/// The one row that `tail` selects, if there is one.
template <class Row, class... Values>
[[nodiscard]] std::optional<Row> read_one(Transaction& tx, const std::string& tail,
                                          const Values&... values) {
    std::vector<Row> rows = read_rows<Row>(tx, tail, values...);
    return rows.empty() ? std::nullopt : std::optional<Row>(std::move(rows.front()));
}

struct PageQuery {
    /// One or more conditions that exclude each other, over $1…: each is read through its own index and the
    /// results are merged, which an OR would not do.
    std::vector<std::string> conditions;
    Parameters parameters;
    std::string time_column;  ///< "placed_at"
    std::int64_t limit = 0;
    std::optional<accounts::Position> after;
};

[[nodiscard]] std::string page_sql(std::string_view table, const std::string& columns,
                                   const PageQuery& query);

template <class Row>
[[nodiscard]] accounts::Page<Row> read_page(Transaction& tx, const PageQuery& query) {
    Parameters parameters = query.parameters;
    if (query.after) {
        parameters.push_back(parameter_of(query.after->at));
        parameters.emplace_back(format_uuid(query.after->id));
    }
    const pqxx::result result = tx.query_with(page_sql(Row::table, select_list<Row>(), query), parameters);
    accounts::Page<Row> page;
    page.items = read_all<Row>(result);
    if (static_cast<std::int64_t>(page.items.size()) > query.limit) {
        page.items.resize(static_cast<std::size_t>(query.limit));
        const pqxx::row last = result[static_cast<pqxx::result::size_type>(query.limit - 1)];
        page.next =
            accounts::Position{read_cell<Time>(last[query.time_column]), read_cell<RawId>(last["id"])};
    }
    return page;
}

// The lists of the API, as their indexes serve them.
[[nodiscard]] PageQuery orders_page(OrganizationId organization, std::int64_t limit,
                                    std::optional<accounts::Position> after);
/// As renter or as seller.
[[nodiscard]] PageQuery leases_page(OrganizationId organization, std::int64_t limit,
                                    std::optional<accounts::Position> after);
[[nodiscard]] PageQuery jobs_page(OrganizationId organization, std::int64_t limit,
                                  std::optional<accounts::Position> after);
[[nodiscard]] PageQuery transfers_page(OrganizationId organization, std::int64_t limit,
                                       std::optional<accounts::Position> after);

}  // namespace fallow::store

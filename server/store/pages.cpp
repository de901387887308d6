#include "store/pages.hpp"

#include <fmt/format.h>

#include <utility>

namespace fallow::store {
namespace {

PageQuery organization_page(std::vector<std::string> conditions, const char* time_column,
                            OrganizationId organization, std::int64_t limit,
                            std::optional<accounts::Position> after) {
    return {std::move(conditions), {parameter_of(organization)}, time_column, limit, after};
}

}  // namespace

std::string page_sql(std::string_view table, const std::string& columns, const PageQuery& query) {
    const std::string order =
        fmt::format(" ORDER BY \"{0}\" DESC, \"id\" DESC LIMIT {1}", query.time_column, query.limit + 1);
    const std::size_t bound = query.parameters.size();
    const std::string position = query.after
                                     ? fmt::format(" AND (\"{}\", \"id\") < (${}::bigint, ${}::uuid)",
                                                   query.time_column, bound + 1, bound + 2)
                                     : std::string();
    std::string sql;
    for (const std::string& condition : query.conditions) {
        if (!sql.empty()) sql += " UNION ALL ";
        sql +=
            fmt::format("(SELECT {} FROM {} WHERE ({}){}{})", columns, table, condition, position, order);
    }
    return query.conditions.size() == 1 ? sql : sql + order;
}

PageQuery orders_page(OrganizationId organization, std::int64_t limit,
                      std::optional<accounts::Position> after) {
    return organization_page({"organization_id = $1"}, "placed_at", organization, limit, after);
}

PageQuery leases_page(OrganizationId organization, std::int64_t limit,
                      std::optional<accounts::Position> after) {
    return organization_page({"organization_id = $1", "seller_id = $1 AND organization_id <> $1"},
                             "allocated_at", organization, limit, after);
}

PageQuery jobs_page(OrganizationId organization, std::int64_t limit,
                    std::optional<accounts::Position> after) {
    return organization_page({"organization_id = $1"}, "queued_at", organization, limit, after);
}

PageQuery transfers_page(OrganizationId organization, std::int64_t limit,
                         std::optional<accounts::Position> after) {
    return organization_page(
        {"debit_organization_id = $1",
         "credit_organization_id = $1 AND credit_organization_id <> debit_organization_id"},
        "at", organization, limit, after);
}

}  // namespace fallow::store

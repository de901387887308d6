#include "store/saved_searches.hpp"

#include <fmt/format.h>

#include "store/accounts_support.hpp"
#include "store/row_reader.hpp"

namespace fallow::store {

using accounts::SavedSearch;

Result<SavedSearch> SavedSearchStore::create(const SavedSearch& search) {
    lock_name(tx_, "saved_searches " + search.organization.text());
    const auto there = tx_.query(
        "SELECT count(*), count(*) FILTER (WHERE name = $2) FROM saved_searches WHERE organization_id = $1",
        search.organization, search.name);
    if (read_cell<std::int64_t>(there[0][1]) > 0)
        return refuse(ErrorCode::name_taken,
                      "There is a saved search of this name: give another, or delete that one first.",
                      "/name");
    if (read_cell<std::int64_t>(there[0][0]) >= accounts::saved_searches_per_organization_max)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("An organization keeps at most {} searches; delete one that is no longer "
                                  "needed.",
                                  accounts::saved_searches_per_organization_max));
    tx_.query(
        "INSERT INTO saved_searches (id, organization_id, name, query, created_at) VALUES ($1, $2, $3, $4, "
        "$5)",
        search.id, search.organization, search.name, search.query, search.created_at);
    append_journal(tx_, author_, {journal_entry(search, "saved_search.created", author_.name)});
    return search;
}

Result<SavedSearch> SavedSearchStore::find(const std::string& name) {
    const auto found =
        tx_.query("SELECT " + select_list<SavedSearch>() + " FROM saved_searches WHERE name = $1", name);
    if (found.empty())
        return refuse(ErrorCode::not_found, "The organization has no saved search of this name.");
    return read_row<SavedSearch>(found[0]);
}

Status SavedSearchStore::remove(accounts::SavedSearchId search) {
    const auto removed = tx_.query(
        "DELETE FROM saved_searches WHERE id = $1 RETURNING " + select_list<SavedSearch>(), search);
    if (removed.empty()) return refuse(ErrorCode::not_found, "The organization has no such saved search.");
    append_journal(
        tx_, author_,
        {journal_entry(read_row<SavedSearch>(removed[0]), "saved_search.deleted", author_.name)});
    return Done{};
}

}  // namespace fallow::store

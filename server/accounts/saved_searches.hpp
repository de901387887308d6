// Queries that an organization keeps under a name, for all its keys. A query is checked by the one query
// language when it is saved; it is read anew whenever it is run.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

inline constexpr std::int64_t saved_searches_per_organization_max = 100;

struct SavedSearchIdTag {
    static constexpr std::string_view prefix = "search";
};
using SavedSearchId = Id<SavedSearchIdTag>;

struct SavedSearch {
    static constexpr std::string_view table = "saved_searches";
    SavedSearchId id;
    OrganizationId organization;
    std::string name;  ///< once in its organization
    std::string query;
    Time created_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("name", row.name);
        visit.field("query", row.query);
        visit.field("created_at", row.created_at);
    }
    friend bool operator==(const SavedSearch&, const SavedSearch&) = default;
};

/// The transaction is bound to the organization whose searches they are.
class SavedSearchStore {
  public:
    virtual ~SavedSearchStore() = default;
    /// `search` is complete. name_taken, limit_reached.
    [[nodiscard]] virtual Result<SavedSearch> create(const SavedSearch& search) = 0;
    [[nodiscard]] virtual Result<SavedSearch> find(const std::string& name) = 0;
    /// not_found.
    [[nodiscard]] virtual Status remove(SavedSearchId search) = 0;
};

}  // namespace fallow::accounts

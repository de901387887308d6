// An organization: a tenant of the market, seller, renter or both.
#pragma once

#include <optional>
#include <string>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace fallow::market {

FALLOW_ENUM(OrganizationStatus, active, frozen)

struct Organization {
    static constexpr std::string_view table = "organizations";
    OrganizationId id;
    std::string name;     ///< unique
    std::string country;  ///< ISO 3166-1 alpha-2
    OrganizationStatus status = OrganizationStatus::active;
    Time created_at;
    std::int64_t version = 1;
    /// Starts that failed or were given up before anything was paid, since `failed_starts_since`: see
    /// failed_starts.hpp.
    std::int32_t failed_starts = 0;
    std::optional<Time> failed_starts_since = std::nullopt;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("name", row.name);
        visit.field("country", row.country);
        visit.field("status", row.status);
        visit.field("created_at", row.created_at);
        visit.field("version", row.version);
        visit.field("failed_starts", row.failed_starts);
        visit.field("failed_starts_since", row.failed_starts_since);
    }
};

}  // namespace fallow::market

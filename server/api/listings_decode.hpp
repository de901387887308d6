// Bodies of the seller's routes.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"
#include "market/commands.hpp"

namespace fallow::api {

[[nodiscard]] Result<market::CreateListing> decode_listing(std::string_view body);
/// `version` comes from If-Match. A change of nothing is refused.
[[nodiscard]] Result<market::ChangeListings> decode_listing_changes(std::string_view body);
[[nodiscard]] Result<market::UpdateListing> decode_listing_change(std::string_view body, ListingId listing,
                                                                  std::int64_t version);

struct NewToken {
    std::string name;
    std::string country;
};
[[nodiscard]] Result<market::ReclaimLease> decode_reclaim_lease(std::string_view body, LeaseId lease);
[[nodiscard]] Result<market::AddMaintenance> decode_maintenance(std::string_view body, HostId host);
[[nodiscard]] Result<NewToken> decode_enrollment_token(std::string_view body);

}  // namespace fallow::api

// Listings with what search shows of their cards and host.
#pragma once

#include <string>
#include <vector>

#include "market/commands.hpp"
#include "store/transaction.hpp"

namespace fallow::api {

/// `tail` is a condition over the columns of listings and of ListingView, with ORDER BY and LIMIT if
/// wanted. A stranger's cards and hosts are seen through the views listed_cards and listed_hosts, one's own
/// also when the listing is not open.
[[nodiscard]] std::vector<market::ListingView> read_listing_views(store::Transaction& tx,
                                                                  const std::string& tail,
                                                                  const store::Parameters& parameters);

}  // namespace fallow::api

// What spot prices leave behind: pools with their current price and its history, and the stretches of a
// lease at one price each.
#pragma once

#include <optional>
#include <string>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::market {

/// The cards of one model and memory size that are offered for spot in this market.
struct SpotPool {
    static constexpr std::string_view table = "spot_pools";
    SpotPoolId id;
    std::string name;  ///< unique; what the API calls it: "t4-16gib"
    std::string product;
    std::int64_t vram_gib = 0;
    std::optional<ledger::Price> price;  ///< of its cheapest card; none while nothing is offered
    std::int32_t cards = 0;              ///< offered for spot when it was priced
    std::int32_t cards_leased = 0;       ///< of these, held by spot leases
    std::int32_t bids = 0;               ///< that lost
    std::optional<Time> repriced_at;
    std::optional<Time> reprice_at;  ///< set when something has changed since
    std::int64_t version = 1;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("name", row.name);
        visit.field("product", row.product);
        visit.field("vram_gib", row.vram_gib);
        visit.field("price_micros_per_hour", row.price);
        visit.field("cards", row.cards);
        visit.field("cards_leased", row.cards_leased);
        visit.field("bids", row.bids);
        visit.field("repriced_at", row.repriced_at);
        visit.field("reprice_at", row.reprice_at);
        visit.field("version", row.version);
    }
};

/// A pool's price from `at` on; written once, when it has changed.
struct SpotPrice {
    static constexpr std::string_view table = "spot_prices";
    SpotPoolId pool;
    Time at;
    std::optional<ledger::Price> price;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("pool_id", row.pool);
        visit.key("at", row.at);
        visit.field("price_micros_per_hour", row.price);
    }
};

/// A spot lease's price from a point of its running time on; written once. Only the renter sees it, since
/// it tells the bid.
struct LeaseSegment {
    static constexpr std::string_view table = "lease_segments";
    SegmentId id;
    LeaseId lease;
    OrganizationId renter;
    std::int64_t sequence = 0;  ///< from 1
    Millis from;                ///< of the lease's accepted running time
    ledger::Price price;
    ledger::Price bid;  ///< when the segment began
    Time at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("lease_id", row.lease);
        visit.field("organization_id", row.renter);
        visit.field("sequence", row.sequence);
        visit.field("from_running_ms", row.from);
        visit.field("price_micros_per_hour", row.price);
        visit.field("bid_micros_per_hour", row.bid);
        visit.field("at", row.at);
    }
};

}  // namespace fallow::market

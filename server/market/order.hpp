// An order: a renter's demand. Stands until filled, cancelled or expired, or is fill-or-kill.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"
#include "market/card.hpp"
#include "market/jurisdiction.hpp"

namespace fallow::market {

namespace search {
struct Query;
}

FALLOW_ENUM(OrderState, standing, filled, cancelled, expired, rejected)
/// fixed: the listing's ask, for the lease's life. spot: a bid, outbid by a better one.
FALLOW_ENUM(OrderPricing, fixed, spot)
/// Whether an order's cards must be of one NVLink group, or only had better be.
FALLOW_ENUM(NvlinkWish, prefer, require)
FALLOW_ENUM(OrderReason, cancelled_by_renter, term_reached, policy_revoked, job_finished, policy_denied,
            approval_needed)

/// What the cards must be; an empty list or an absent value asks for nothing.
struct Requirements {
    std::vector<std::string> products;
    std::optional<DeviceClass> device_class;
    std::optional<std::int64_t> vram_bytes_min;
    std::vector<std::string> countries;
    std::vector<std::string> countries_excluded;
    std::optional<ListingId> listing;
    std::optional<HostId> host;
    std::optional<std::string> query;  ///< conditions in the query language; see search/query.hpp
    std::shared_ptr<const search::Query> compiled;  ///< of `query`; State keeps it so
    bool gang_network = false;  ///< of its hosts: its job's containers speak to each other
};

/// What earlier attempts of an order's job have used of the traffic that it may cause on each host.
struct TrafficUsed {
    std::int64_t mib = 0;    ///< of its egress_gib
    ledger::Micros overage;  ///< of its overage_max
    friend bool operator==(const TrafficUsed&, const TrafficUsed&) = default;
};

struct Order {
    static constexpr std::string_view table = "orders";
    OrderId id;
    OrganizationId organization;
    OrderState state = OrderState::standing;
    std::optional<OrderReason> reason;
    Requirements requirements;
    std::int32_t count = 1;
    OrderPricing pricing = OrderPricing::fixed;
    ledger::Price price_max;             ///< the limit; of a spot order, its bid
    std::optional<Time> bid_changed_at;  ///< a bid is as old as its last change
    /// Cards of one listing that come to this order as soon as they are free: see spot.hpp.
    std::vector<CardId> promised;
    Millis term;
    bool fill_or_kill = false;
    Time placed_at;
    Time expires_at;
    std::optional<LeaseId> lease;
    std::optional<JobId> job;
    std::optional<EndUse> end_use;
    bool approved = false;  ///< by the operator: rules that need an approval let it pass
    /// What kept it from a match when it was placed, if a rule did.
    std::optional<std::int64_t> policy_version;
    std::optional<std::string> policy_rule;
    std::optional<PolicyEffect> policy_effect;
    std::optional<QuoteId> quote;  ///< the quote it was placed with: its price is then the price limit
    std::optional<std::int32_t> quoted_fee_ppm;
    std::int64_t version = 1;
    std::int32_t thousandths = limits::thousandths_per_card;  ///< of each card; less only with one card
    std::int32_t hosts = 1;  ///< each with `count` cards and a lease of its own; more than one is a gang
    NvlinkWish nvlink = NvlinkWish::prefer;
    std::int64_t storage_bytes = 0;  ///< reserved on each host for its job; none for a rental
    std::optional<ledger::Micros> storage_price_max;  ///< of a GiB for a month
    std::optional<std::int64_t> stored_gib_max;       ///< of the quote: its job reserves no more
    std::optional<ledger::Micros> hourly;             ///< all in, of all its leases, when it was filled
    std::int64_t egress_gib = 0;                      ///< that each host may send for it
    std::optional<ledger::Micros> egress_price_max;   ///< of a GiB sent
    ledger::Micros overage_max;                       ///< what sending more may cost on each host
    TrafficUsed traffic_used;

    /// Several cards at once, which later orders must not take away one by one.
    [[nodiscard]] bool is_large() const { return hosts > 1 || count > 1; }
    /// Its cards have to be of one NVLink group.
    [[nodiscard]] bool needs_nvlink() const { return count > 1 && nvlink == NvlinkWish::require; }
    [[nodiscard]] bool is_gang() const { return hosts > 1; }
    [[nodiscard]] bool is_for_share() const { return thousandths < limits::thousandths_per_card; }

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("state", row.state);
        visit.field("reason", row.reason);
        visit.field("products", row.requirements.products);
        visit.field("device_class", row.requirements.device_class);
        visit.field("vram_bytes_min", row.requirements.vram_bytes_min);
        visit.field("countries", row.requirements.countries);
        visit.field("countries_excluded", row.requirements.countries_excluded);
        visit.field("required_listing_id", row.requirements.listing);
        visit.field("required_host_id", row.requirements.host);
        visit.field("query", row.requirements.query);
        visit.field("count", row.count);
        visit.field("pricing", row.pricing);
        visit.field("price_max_micros_per_hour", row.price_max);
        visit.field("bid_changed_at", row.bid_changed_at);
        visit.field("promised_card_ids", row.promised);
        visit.field("term_ms", row.term);
        visit.field("fill_or_kill", row.fill_or_kill);
        visit.field("placed_at", row.placed_at);
        visit.field("expires_at", row.expires_at);
        visit.field("lease_id", row.lease);
        visit.field("job_id", row.job);
        visit.field("end_use", row.end_use);
        visit.field("approved", row.approved);
        visit.field("policy_version", row.policy_version);
        visit.field("policy_rule", row.policy_rule);
        visit.field("policy_effect", row.policy_effect);
        visit.field("quote_id", row.quote);
        visit.field("quoted_fee_ppm", row.quoted_fee_ppm);
        visit.field("version", row.version);
        visit.field("thousandths", row.thousandths);
        visit.field("hosts", row.hosts);
        visit.field("nvlink", row.nvlink);
        visit.field("storage_bytes", row.storage_bytes);
        visit.field("storage_micros_per_gib_month_max", row.storage_price_max);
        visit.field("stored_gib_max", row.stored_gib_max);
        visit.field("all_in_micros_per_hour", row.hourly);
        visit.field("egress_gib", row.egress_gib);
        visit.field("egress_micros_per_gib_max", row.egress_price_max);
        visit.field("overage_micros_max", row.overage_max);
        visit.field("egress_mib_used", row.traffic_used.mib);
        visit.field("overage_micros_used", row.traffic_used.overage);
        visit.field("gang_network", row.requirements.gang_network);
    }
};

}  // namespace fallow::market

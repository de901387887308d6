// The whole state of one market in memory, and the indexes derived from it. Rows change only through
// replace(), so that every index follows and every change can be undone. Pure: no clock, no randomness, no
// I/O, no thread.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>

#include "market/changes.hpp"

namespace fallow::market {

/// The platform's own organization and accounts have fixed ids, as the first migration wrote them.
inline constexpr OrganizationId platform_organization{RawId{0, 1}};
inline constexpr AccountId platform_external{RawId{0, 2}};
inline constexpr AccountId platform_fees{RawId{0, 3}};

/// What can have a deadline.
using DueId = std::variant<LeaseId, OrderId, SpotPoolId, ReservationId, HostId>;

/// What the market may take; the engine fills it from the configuration.
struct Rules {
    std::string market = "main";
    Millis accept_deadline = seconds(60);   ///< allocated: the agent must take the lease
    Millis attach_deadline = minutes(2);    ///< allocated without a job: the renter must bring one
    Millis pull_deadline = minutes(20);     ///< preparing: image and inputs, then
    Millis start_deadline = minutes(2);     ///< the container's start
    Millis stop_grace = seconds(10);        ///< SIGTERM to SIGKILL, where no notice applies
    Millis reclaim_deadline = minutes(10);  ///< reclaiming: outputs, scrub
    Millis hold_window = minutes(30);
    Millis disconnect_window = minutes(10);
    Millis heartbeat = seconds(5);
    Millis quote_validity = minutes(5);
    Millis cancel_free = hours(24);          ///< before its start a reservation is cancelled for nothing
    std::int32_t cancel_kept_ppm = 500'000;  ///< of the deposit, after that
    std::int32_t penalty_ppm = 100'000;      ///< of what a seller does not deliver
    Millis pinned_lost = minutes(10);        ///< how long an interactive rental survives its host's silence
    Millis spot_reprice = minutes(1);        ///< a pool's price changes no more often
    Millis bid_lower_cooldown = minutes(10);  ///< from a bid's last change to its lowering
    std::int32_t failed_starts_max = 20;      ///< of a renter, unpaid, in one such window
    Millis failed_starts_window = hours(1);
    std::size_t due_per_tick_max = 256;
    std::size_t matches_per_command_max = 256;
};

template <class Row>
struct KeyOf;

#define FALLOW_ROW_KEY(Row, Key, expression)                      \
    template <>                                                   \
    struct KeyOf<Row> {                                           \
        using type = Key;                                         \
        static type of(const Row& row) { return row.expression; } \
    }

FALLOW_ROW_KEY(Organization, OrganizationId, id);
FALLOW_ROW_KEY(ledger::Account, AccountId, id);
FALLOW_ROW_KEY(Host, HostId, id);
FALLOW_ROW_KEY(Card, CardId, id);
FALLOW_ROW_KEY(Listing, ListingId, id);
FALLOW_ROW_KEY(Order, OrderId, id);
FALLOW_ROW_KEY(Lease, LeaseId, id);
FALLOW_ROW_KEY(Job, JobId, id);
FALLOW_ROW_KEY(Reservation, ReservationId, id);
FALLOW_ROW_KEY(Booking, BookingId, id);
FALLOW_ROW_KEY(Freeze, FreezeId, id);
FALLOW_ROW_KEY(Settings, std::string, market);
FALLOW_ROW_KEY(Policy, std::int64_t, version);
FALLOW_ROW_KEY(PolicyApproval, ApprovalId, id);
FALLOW_ROW_KEY(SpotPool, SpotPoolId, id);
FALLOW_ROW_KEY(LeaseSegment, SegmentId, id);

#undef FALLOW_ROW_KEY

template <class Row>
using Table = std::unordered_map<typename KeyOf<Row>::type, Row>;

class State {
  public:
    explicit State(Rules rules) : rules_(std::move(rules)) {}

    [[nodiscard]] const Rules& rules() const { return rules_; }

    template <class Row>
    [[nodiscard]] const Row* find(const typename KeyOf<Row>::type& key) const {
        const auto& rows = std::get<Table<Row>>(tables_);
        const auto at = rows.find(key);
        return at == rows.end() ? nullptr : &at->second;
    }
    template <class Row>
    [[nodiscard]] const Row& at(const typename KeyOf<Row>::type& key) const {
        const Row* row = find<Row>(key);
        FALLOW_ASSERT(row != nullptr);
        return *row;
    }
    template <class Row>
    [[nodiscard]] const Table<Row>& table() const {
        return std::get<Table<Row>>(tables_);
    }

    /// The one way to change a row: nothing before = insert, nothing after = remove. Keeps every index.
    template <class Row>
    void replace(const Row* before, const Row* after);

    [[nodiscard]] const Settings& settings() const { return at<Settings>(rules_.market); }
    [[nodiscard]] const ledger::Account& account(OrganizationId organization,
                                                 ledger::AccountKind kind) const;
    [[nodiscard]] bool name_taken(const std::string& organization_name) const;
    [[nodiscard]] bool host_name_taken(OrganizationId organization, const std::string& name) const;
    [[nodiscard]] std::optional<ListingId> listing_of(CardId card) const;
    [[nodiscard]] const std::set<ListingId>& listings_of(OrganizationId seller) const;  ///< not withdrawn
    [[nodiscard]] std::int64_t standing_orders(OrganizationId organization) const;
    [[nodiscard]] bool is_frozen(FreezeKind kind, const std::string& target) const;
    /// The newest policy, or the built-in one as version 0.
    [[nodiscard]] PolicyInForce policy() const;
    /// Whether the operator lets this organization have this model where a rule needs an approval.
    [[nodiscard]] bool is_approved(OrganizationId renter, std::string_view model) const;
    [[nodiscard]] const std::set<CardId>& cards_of(HostId host) const;
    [[nodiscard]] const std::set<LeaseId>& live_leases_of(HostId host) const;  ///< not released
    [[nodiscard]] const std::set<LeaseId>& live_leases() const { return live_leases_; }

    /// The leases and the jobs of an order over several hosts, by rank; of any other order none.
    template <class AnyId>
    using ByRank = std::set<std::pair<std::int32_t, AnyId>>;
    [[nodiscard]] const ByRank<LeaseId>& leases_of(OrderId gang) const;
    [[nodiscard]] const ByRank<JobId>& jobs_of(OrderId gang) const;

    /// A listing's cards that nobody holds, in the order in which they are given: by index, then id.
    using FreeCard = std::pair<std::int32_t, CardId>;
    [[nodiscard]] const std::set<FreeCard>& free_cards_of(ListingId listing) const;

    /// A listing's cards that are leased in part: the fullest first, then by index and id.
    using PartCard = std::tuple<std::int32_t, std::int32_t, CardId>;  ///< the first is -used
    [[nodiscard]] const std::set<PartCard>& part_cards_of(ListingId listing) const;
    /// Whose shares lie on a card; nobody's when none do.
    [[nodiscard]] std::optional<OrganizationId> tenant_of(CardId card) const;

    /// Open listings with at least one free card, by ask, then id: the documented order of service.
    using Offer = std::pair<ledger::Price, ListingId>;
    [[nodiscard]] const std::set<Offer>& offers() const { return offers_; }
    /// All open listings, free cards or not, in the same order.
    [[nodiscard]] const std::set<Offer>& asks() const { return asks_; }
    /// Open listings whose cards may be shared, with any part of a card free.
    [[nodiscard]] const std::set<Offer>& share_offers() const { return share_offers_; }
    /// Standing orders by price limit (highest first), then age, then id.
    using Demand = std::tuple<std::int64_t, Time, OrderId>;
    [[nodiscard]] const std::set<Demand>& demands() const { return demands_; }
    /// Those of them that are for several cards.
    [[nodiscard]] const std::set<Demand>& large_demands() const { return large_demands_; }
    /// What an order takes of one host: whole cards, or a part of one in steps of twenty to a card.
    struct Shape {
        std::int32_t cards = 1;
        std::int32_t thousandths = limits::thousandths_per_card;
        friend auto operator<=>(const Shape&, const Shape&) = default;
    };
    /// How often each is asked for now: by standing orders, and by leases whose cards are not free yet.
    /// Placement expects the same again.
    [[nodiscard]] const std::map<Shape, std::int64_t>& asked_for() const { return asked_for_; }
    [[nodiscard]] static Demand demand_of(const Order& order) {
        return {-order.price_max.micros_per_hour, order.bid_changed_at.value_or(order.placed_at), order.id};
    }

    // --- spot: all of it empty while no listing has a floor

    /// Listings with a floor that are not withdrawn, and of the open ones those with a free card, by floor.
    [[nodiscard]] const std::set<ListingId>& spot_listings() const { return spot_listings_; }
    [[nodiscard]] const std::set<Offer>& spot_offers() const { return spot_offers_; }
    /// Standing spot orders by bid (highest first), then age of the bid, then id.
    [[nodiscard]] const std::set<Demand>& bids() const { return bids_; }
    /// Spot leases whose cards are not free yet, in the order in which they are displaced: those that are
    /// ending already, then the lowest bid, then the newest.
    using Holding = std::tuple<std::int64_t, std::int64_t, LeaseId>;
    [[nodiscard]] const std::set<Holding>& spot_holdings() const { return spot_holdings_; }
    /// The standing order that a card is promised to. Such a card is free to nobody else.
    [[nodiscard]] std::optional<OrderId> promised_to(CardId card) const;
    [[nodiscard]] const std::map<CardId, OrderId>& promises() const { return promised_; }
    [[nodiscard]] const std::map<std::string, SpotPoolId>& spot_pools() const { return spot_pool_names_; }
    /// A spot lease's segments by their sequence.
    [[nodiscard]] const std::map<std::int64_t, SegmentId>& segments_of(LeaseId lease) const;

    /// Open listings that are committed, free cards or not, by ask, then id: where reservations are made.
    [[nodiscard]] const std::set<Offer>& committed() const { return committed_; }
    /// The bookings of a card by their start.
    using BookedSpan = std::pair<Time, BookingId>;
    [[nodiscard]] const std::set<BookedSpan>& bookings_of(CardId card) const;
    [[nodiscard]] bool has_bookings() const { return !bookings_of_card_.empty(); }
    /// The reservation whose block a live lease is.
    [[nodiscard]] std::optional<ReservationId> reservation_of(LeaseId lease) const;
    [[nodiscard]] std::int64_t open_reservations(OrganizationId renter) const;

    /// Deadlines of leases, expiries of orders, repricings of pools, starts and ends of
    /// reservations, ends of maintenance, the earliest first.
    using Due = std::pair<Time, DueId>;
    [[nodiscard]] const std::set<Due>& due() const { return due_; }

    [[nodiscard]] std::size_t active_leases() const { return active_leases_; }

    /// Whether any card says which others it reaches by NVLink, and any host in which rack it stands.
    [[nodiscard]] bool has_nvlink_groups() const { return cards_in_nvlink_groups_ > 0; }
    [[nodiscard]] bool has_racks() const { return hosts_in_racks_ > 0; }

  private:
    void index(const Organization&, bool);
    void index(const ledger::Account&, bool);
    void index(const Host&, bool);
    void index(const Card&, bool);
    void index(const Listing&, bool);
    void index(const Order&, bool);
    void index(const Lease&, bool);
    void index(const Job&, bool);
    void index(const Reservation&, bool);
    void index(const Booking&, bool);
    void index(const Freeze&, bool);
    void index(const Settings&, bool) {}
    void index(const Policy&, bool);
    void index(const PolicyApproval&, bool);
    void index(const SpotPool&, bool);
    void index(const LeaseSegment&, bool);
    void index_capacity(ListingId listing, const Card& card, bool present);
    /// What is worked out once from a row's columns and kept with it.
    static void complete(Order& row);
    template <class Row>
    static void complete(Row&) {}
    void refresh_offer(ListingId listing);
    void index_promise(CardId card, OrderId order, bool present);
    void index_shape(std::int32_t cards, std::int32_t thousandths, std::int32_t hosts, bool present);
    void index_holding(const Lease& lease, bool present);

    Rules rules_;
    std::tuple<Table<Organization>, Table<ledger::Account>, Table<Host>, Table<Card>, Table<Listing>,
               Table<Order>, Table<Lease>, Table<Job>, Table<Reservation>, Table<Booking>, Table<Freeze>,
               Table<Settings>, Table<Policy>, Table<PolicyApproval>, Table<SpotPool>, Table<LeaseSegment>>
        tables_;

    std::unordered_set<std::string> organization_names_;
    std::map<std::pair<OrganizationId, std::string>, HostId> host_names_;
    std::unordered_map<OrganizationId, std::array<AccountId, 5>> accounts_;
    std::unordered_map<HostId, std::set<CardId>> cards_of_host_;
    std::unordered_map<CardId, ListingId> listing_of_card_;
    std::unordered_map<OrganizationId, std::set<ListingId>> listings_of_seller_;
    std::unordered_map<ListingId, std::set<FreeCard>> free_cards_;
    std::unordered_map<ListingId, std::set<PartCard>> part_cards_;
    std::unordered_map<CardId, std::set<std::pair<OrganizationId, LeaseId>>> tenants_;
    std::unordered_map<HostId, std::set<LeaseId>> leases_of_host_;
    std::unordered_map<OrganizationId, std::int64_t> standing_orders_;
    std::map<std::pair<FreezeKind, std::string>, int> frozen_;
    std::map<std::int64_t, std::shared_ptr<const PolicyRules>> policies_;
    std::map<std::pair<OrganizationId, std::string>, int> approved_;
    std::set<LeaseId> live_leases_;
    std::unordered_map<OrderId, ByRank<LeaseId>> leases_of_gang_;
    std::unordered_map<OrderId, ByRank<JobId>> jobs_of_gang_;
    std::set<Offer> offers_;
    std::unordered_map<ListingId, ledger::Price> offered_;
    std::set<Offer> asks_;
    std::unordered_map<ListingId, ledger::Price> asked_;
    std::set<Offer> share_offers_;
    std::unordered_map<ListingId, ledger::Price> share_offered_;
    std::set<Demand> demands_;
    std::set<Demand> large_demands_;
    std::map<Shape, std::int64_t> asked_for_;
    std::set<Offer> committed_;
    std::unordered_map<CardId, std::set<BookedSpan>> bookings_of_card_;
    std::unordered_map<LeaseId, ReservationId> reservation_of_lease_;
    std::unordered_map<OrganizationId, std::int64_t> open_reservations_;
    std::set<Due> due_;
    std::set<ListingId> spot_listings_;
    std::set<Offer> spot_offers_;
    std::unordered_map<ListingId, ledger::Price> spot_offered_;
    std::set<Demand> bids_;
    std::set<Holding> spot_holdings_;
    std::unordered_map<LeaseId, Holding> holding_of_;
    std::map<CardId, OrderId> promised_;
    std::map<std::string, SpotPoolId> spot_pool_names_;
    std::unordered_map<LeaseId, std::map<std::int64_t, SegmentId>> segments_of_;
    std::size_t active_leases_ = 0;
    std::int64_t cards_in_nvlink_groups_ = 0;
    std::int64_t hosts_in_racks_ = 0;

  public:
    /// Cards of a listing that are free now.
    [[nodiscard]] std::int32_t free_cards(ListingId listing) const;
};

/// The moment at which a lease or a reservation needs the clock's attention, if there is one.
[[nodiscard]] std::optional<Time> next_deadline(const Lease& lease);
[[nodiscard]] std::optional<Time> next_deadline(const Reservation& reservation);

template <class Row>
void State::replace(const Row* before, const Row* after) {
    auto& rows = std::get<Table<Row>>(tables_);
    if (before != nullptr) {
        const auto at = rows.find(KeyOf<Row>::of(*before));
        FALLOW_ASSERT(at != rows.end());
        index(at->second, false);
        if (after != nullptr) {
            at->second = *after;
            complete(at->second);
            index(at->second, true);
        } else {
            rows.erase(at);
        }
        return;
    }
    FALLOW_ASSERT(after != nullptr);
    const auto [at, inserted] = rows.emplace(KeyOf<Row>::of(*after), *after);
    FALLOW_ASSERT(inserted);
    complete(at->second);
    index(at->second, true);
}

}  // namespace fallow::market

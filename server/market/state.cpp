#include "market/state.hpp"

#include <algorithm>

#include "market/search/query.hpp"

namespace fallow::market {
namespace {

const std::set<CardId> no_cards;
const std::set<State::FreeCard> no_free_cards;
const std::set<State::BookedSpan> no_bookings;
const std::set<State::PartCard> no_part_cards;
const std::set<LeaseId> no_leases;
const std::map<std::int64_t, SegmentId> no_segments;
const std::set<ListingId> no_listings;
const State::ByRank<LeaseId> no_members;
const State::ByRank<JobId> no_jobs;

template <class Container, class Value>
void put_or_erase(Container& container, const Value& value, bool present) {
    if (present)
        container.insert(value);
    else
        container.erase(value);
}

/// The same in a map of sets, which keeps no empty set.
template <class Map, class Key, class Value>
void put_or_erase(Map& map, const Key& key, const Value& value, bool present) {
    auto& values = map[key];
    put_or_erase(values, value, present);
    if (values.empty()) map.erase(key);
}

/// Makes `offers`, and `offered` beside it, hold the listing at `price`, or not at all.
void put_offer(std::set<State::Offer>& offers, std::unordered_map<ListingId, ledger::Price>& offered,
               ListingId listing, std::optional<ledger::Price> price) {
    const auto known = offered.find(listing);
    if (known != offered.end() && known->second == price) return;
    if (known != offered.end()) {
        offers.erase({known->second, listing});
        offered.erase(known);
    }
    if (!price) return;
    offers.insert({*price, listing});
    offered.emplace(listing, *price);
}

void keep_earlier(std::optional<Time>& best, const std::optional<Time>& other) {
    if (other && (!best || *other < *best)) best = other;
}

}  // namespace

std::optional<Time> next_deadline(const Lease& lease) {
    if (lease.state == LeaseState::ended) return std::nullopt;
    std::optional<Time> best = lease.phase_deadline;
    if (lease.state == LeaseState::reclaiming) return best;
    if (!lease.stop_reason) keep_earlier(best, lease.ends_by);
    if (lease.state != LeaseState::running) return best;
    keep_earlier(best, lease.reclaim_deadline);
    if (!lease.stop_reason) {
        if (lease.maintenance_at) keep_earlier(best, *lease.maintenance_at - lease.reclaim_notice);
        keep_earlier(best, *lease.running_at + lease.term);
        keep_earlier(best, lease.paid_until);
    }
    return best;
}

std::optional<Time> next_deadline(const Reservation& reservation) {
    switch (reservation.state) {
        case ReservationState::booked:
            return reservation.starts_at;
        case ReservationState::started:
            return reservation.ends_at;
        default:
            return std::nullopt;
    }
}

const ledger::Account& State::account(OrganizationId organization, ledger::AccountKind kind) const {
    const auto found = accounts_.find(organization);
    FALLOW_ASSERT(found != accounts_.end());
    return at<ledger::Account>(found->second.at(static_cast<std::size_t>(kind)));
}

bool State::name_taken(const std::string& organization_name) const {
    return organization_names_.contains(organization_name);
}

bool State::host_name_taken(OrganizationId organization, const std::string& name) const {
    return host_names_.contains({organization, name});
}

std::optional<ListingId> State::listing_of(CardId card) const {
    const auto found = listing_of_card_.find(card);
    return found == listing_of_card_.end() ? std::nullopt : std::optional<ListingId>(found->second);
}

const std::set<ListingId>& State::listings_of(OrganizationId seller) const {
    const auto found = listings_of_seller_.find(seller);
    return found == listings_of_seller_.end() ? no_listings : found->second;
}

const State::ByRank<LeaseId>& State::leases_of(OrderId gang) const {
    const auto found = leases_of_gang_.find(gang);
    return found == leases_of_gang_.end() ? no_members : found->second;
}

const State::ByRank<JobId>& State::jobs_of(OrderId gang) const {
    const auto found = jobs_of_gang_.find(gang);
    return found == jobs_of_gang_.end() ? no_jobs : found->second;
}

std::int64_t State::standing_orders(OrganizationId organization) const {
    const auto found = standing_orders_.find(organization);
    return found == standing_orders_.end() ? 0 : found->second;
}

bool State::is_frozen(FreezeKind kind, const std::string& target) const {
    return frozen_.contains({kind, target});
}

const std::set<CardId>& State::cards_of(HostId host) const {
    const auto found = cards_of_host_.find(host);
    return found == cards_of_host_.end() ? no_cards : found->second;
}

const std::set<LeaseId>& State::live_leases_of(HostId host) const {
    const auto found = leases_of_host_.find(host);
    return found == leases_of_host_.end() ? no_leases : found->second;
}

const std::set<State::BookedSpan>& State::bookings_of(CardId card) const {
    const auto found = bookings_of_card_.find(card);
    return found == bookings_of_card_.end() ? no_bookings : found->second;
}

std::optional<ReservationId> State::reservation_of(LeaseId lease) const {
    const auto found = reservation_of_lease_.find(lease);
    return found == reservation_of_lease_.end() ? std::nullopt
                                                : std::optional<ReservationId>(found->second);
}

std::int64_t State::open_reservations(OrganizationId renter) const {
    const auto found = open_reservations_.find(renter);
    return found == open_reservations_.end() ? 0 : found->second;
}

const std::set<State::FreeCard>& State::free_cards_of(ListingId listing) const {
    const auto found = free_cards_.find(listing);
    return found == free_cards_.end() ? no_free_cards : found->second;
}

std::optional<OrderId> State::promised_to(CardId card) const {
    const auto found = promised_.find(card);
    return found == promised_.end() ? std::nullopt : std::optional<OrderId>(found->second);
}

const std::map<std::int64_t, SegmentId>& State::segments_of(LeaseId lease) const {
    const auto found = segments_of_.find(lease);
    return found == segments_of_.end() ? no_segments : found->second;
}

const std::set<State::PartCard>& State::part_cards_of(ListingId listing) const {
    const auto found = part_cards_.find(listing);
    return found == part_cards_.end() ? no_part_cards : found->second;
}

std::optional<OrganizationId> State::tenant_of(CardId card) const {
    const auto found = tenants_.find(card);
    return found == tenants_.end() ? std::nullopt : std::optional(found->second.begin()->first);
}

std::int32_t State::free_cards(ListingId listing) const {
    return static_cast<std::int32_t>(free_cards_of(listing).size());
}

void State::index(const Organization& row, bool present) {
    put_or_erase(organization_names_, row.name, present);
}

void State::index(const ledger::Account& row, bool present) {
    auto& accounts = accounts_[row.organization];
    accounts.at(static_cast<std::size_t>(row.kind)) = present ? row.id : AccountId{};
    if (accounts == std::array<AccountId, 5>{}) accounts_.erase(row.organization);
}

void State::index(const Host& row, bool present) {
    if (row.details.rack) hosts_in_racks_ += present ? 1 : -1;
    if (row.state == HostState::retired) return;
    if (row.maintenance_until) put_or_erase(due_, Due{*row.maintenance_until, row.id}, present);
    if (present)
        host_names_.emplace(std::pair{row.organization, row.name}, row.id);
    else
        host_names_.erase({row.organization, row.name});
}

void State::index(const Card& row, bool present) {
    if (row.details.nvlink_group) cards_in_nvlink_groups_ += present ? 1 : -1;
    put_or_erase(cards_of_host_, row.host, row.id, present);
    const auto listing = listing_of_card_.find(row.id);
    if (listing == listing_of_card_.end() || row.free_thousandths() == 0 || promised_.contains(row.id))
        return;
    index_capacity(listing->second, row, present);
    refresh_offer(listing->second);
}

void State::index_capacity(ListingId listing, const Card& card, bool present) {
    if (card.is_free())
        put_or_erase(free_cards_, listing, FreeCard{card.index, card.id}, present);
    else if (card.free_thousandths() > 0)
        put_or_erase(part_cards_, listing, PartCard{-card.used, card.index, card.id}, present);
}

void State::index(const Listing& row, bool present) {
    if (row.state == ListingState::withdrawn) return;
    if (row.committed_until && row.state == ListingState::open)
        put_or_erase(committed_, Offer{row.ask, row.id}, present);
    put_or_erase(listings_of_seller_, row.organization, row.id, present);
    for (const CardId id : row.cards) {
        if (present)
            listing_of_card_[id] = row.id;
        else
            listing_of_card_.erase(id);
        const Card* card = find<Card>(id);
        if (card != nullptr && !promised_.contains(id)) index_capacity(row.id, *card, present);
    }
    if (row.spot_floor) put_or_erase(spot_listings_, row.id, present);
    refresh_offer(row.id);
    const bool is_asked = present && row.state == ListingState::open;
    put_offer(asks_, asked_, row.id, is_asked ? std::optional(row.ask) : std::nullopt);
}

/// Offers hold exactly the open listings that have a free card; share offers those of them, or with a part
/// of a card, that are shared. Called whenever one of these facts may have changed.
void State::refresh_offer(ListingId listing) {
    const bool has_card = !free_cards_of(listing).empty();
    const bool has_part = has_card || !part_cards_of(listing).empty();
    const Listing* row = find<Listing>(listing);
    const bool is_open = row != nullptr && row->state == ListingState::open;
    const auto ask_if = [&](bool is_offer) { return is_offer ? std::optional(row->ask) : std::nullopt; };
    put_offer(offers_, offered_, listing, ask_if(is_open && has_card));
    put_offer(share_offers_, share_offered_, listing, ask_if(is_open && has_part && row->is_shared()));
    // A listing that was the last with a floor still has its old offer to take away.
    if (spot_listings_.empty() && spot_offered_.empty()) return;
    put_offer(spot_offers_, spot_offered_, listing, is_open && has_card ? row->spot_floor : std::nullopt);
}

void State::complete(Order& row) {
    if (row.requirements.query && !row.requirements.compiled)
        static_cast<void>(search::compile(row.requirements));
}

void State::index(const Order& row, bool present) {
    if (row.pricing == OrderPricing::spot && row.lease)
        if (const Lease* lease = find<Lease>(*row.lease)) index_holding(*lease, present);
    if (row.state != OrderState::standing) return;
    const bool is_bid = row.pricing == OrderPricing::spot;
    put_or_erase(is_bid ? bids_ : demands_, demand_of(row), present);
    if (row.is_large() && !is_bid) put_or_erase(large_demands_, demand_of(row), present);
    index_shape(row.count, row.thousandths, row.hosts, present);
    for (const CardId card : row.promised)
        index_promise(card, row.id, present);
    put_or_erase(due_, Due{row.expires_at, row.id}, present);
    std::int64_t& count = standing_orders_[row.organization];
    count += present ? 1 : -1;
    if (count == 0) standing_orders_.erase(row.organization);
}

void State::index(const Lease& row, bool present) {
    if (const auto deadline = next_deadline(row)) put_or_erase(due_, Due{*deadline, row.id}, present);
    if (row.state != LeaseState::ended) {
        if (present)
            ++active_leases_;
        else
            --active_leases_;
    }
    if (row.is_member()) put_or_erase(leases_of_gang_, row.order, std::pair{row.rank, row.id}, present);
    if (row.released) return;
    if (row.spot_floor) index_holding(row, present);
    put_or_erase(live_leases_, row.id, present);
    put_or_erase(leases_of_host_, row.host, row.id, present);
    index_shape(static_cast<std::int32_t>(row.cards.size()), row.thousandths_of_each(), 1, present);
    if (!row.is_share()) return;
    for (const CardId card : row.cards)
        put_or_erase(tenants_, card, std::pair{row.renter, row.id}, present);
}

/// Parts are counted in steps, rounded up, so that there are few shapes however many parts are asked for.
void State::index_shape(std::int32_t cards, std::int32_t thousandths, std::int32_t hosts, bool present) {
    constexpr std::int32_t step = limits::thousandths_per_card / 20;
    const Shape shape{cards, (thousandths + step - 1) / step * step};
    const auto at = asked_for_.try_emplace(shape, 0).first;
    at->second += present ? hosts : -hosts;
    if (at->second == 0) asked_for_.erase(at);
}

PolicyInForce State::policy() const {
    if (policies_.empty()) return {0, &default_policy()};
    const auto& newest = *policies_.rbegin();
    return {newest.first, newest.second.get()};
}

bool State::is_approved(OrganizationId renter, std::string_view model) const {
    return approved_.contains({renter, std::string(model)});
}

void State::index(const Policy& row, bool present) {
    if (!present) {
        policies_.erase(row.version);
        return;
    }
    auto rules = parse_policy(row.text);
    FALLOW_ASSERT(rules.ok());
    policies_[row.version] = std::make_shared<const PolicyRules>(*std::move(rules));
}

void State::index(const PolicyApproval& row, bool present) {
    int& count = approved_[{row.organization, row.model}];
    count += present ? 1 : -1;
    if (count == 0) approved_.erase({row.organization, row.model});
}

void State::index(const Reservation& row, bool present) {
    if (const auto deadline = next_deadline(row)) put_or_erase(due_, Due{*deadline, row.id}, present);
    if (!row.is_open()) return;
    std::int64_t& count = open_reservations_[row.renter];
    count += present ? 1 : -1;
    if (count == 0) open_reservations_.erase(row.renter);
    if (!row.lease) return;
    if (present)
        reservation_of_lease_.emplace(*row.lease, row.id);
    else
        reservation_of_lease_.erase(*row.lease);
}

void State::index(const Booking& row, bool present) {
    put_or_erase(bookings_of_card_, row.card, BookedSpan{row.starts_at, row.id}, present);
}

void State::index(const Job& row, bool present) {
    if (row.is_member() && row.order)
        put_or_erase(jobs_of_gang_, *row.order, std::pair{row.rank, row.id}, present);
}

void State::index(const Freeze& row, bool present) {
    int& count = frozen_[{row.kind, row.target}];
    count += present ? 1 : -1;
    if (count == 0) frozen_.erase({row.kind, row.target});
}

void State::index_promise(CardId card, OrderId order, bool present) {
    if (present)
        promised_.emplace(card, order);
    else
        promised_.erase(card);
    const auto listing = listing_of_card_.find(card);
    const Card* row = find<Card>(card);
    if (listing == listing_of_card_.end() || row == nullptr || row->free_thousandths() == 0) return;
    index_capacity(listing->second, *row, !present);
    refresh_offer(listing->second);
}

/// A holding's place follows from its order's bid as well, so that both rows' changes come here.
void State::index_holding(const Lease& lease, bool present) {
    if (!lease.spot_floor || lease.released) return;
    const auto known = holding_of_.find(lease.id);
    if (known != holding_of_.end()) {
        spot_holdings_.erase(known->second);
        holding_of_.erase(known);
    }
    if (!present) return;
    const bool is_ending =
        lease.stop_reason || lease.state == LeaseState::reclaiming || lease.state == LeaseState::ended;
    const Order* order = find<Order>(lease.order);
    const std::int64_t bid = is_ending || order == nullptr ? -1 : order->price_max.micros_per_hour;
    const Holding holding{bid, -lease.allocated_at.ms, lease.id};
    spot_holdings_.insert(holding);
    holding_of_.emplace(lease.id, holding);
}

void State::index(const SpotPool& row, bool present) {
    if (present)
        spot_pool_names_.emplace(row.name, row.id);
    else
        spot_pool_names_.erase(row.name);
    if (row.reprice_at) put_or_erase(due_, Due{*row.reprice_at, row.id}, present);
}

void State::index(const LeaseSegment& row, bool present) {
    auto& segments = segments_of_[row.lease];
    if (present)
        segments.emplace(row.sequence, row.id);
    else
        segments.erase(row.sequence);
    if (segments.empty()) segments_of_.erase(row.lease);
}

}  // namespace fallow::market

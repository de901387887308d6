#include "market/pools.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "market/catalog.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

constexpr std::int64_t gib = 1LL << 30;

std::string slug(const std::string& product) {
    std::string text;
    for (const char c : product) {
        const bool is_digit = c >= '0' && c <= '9';
        const bool is_lower = c >= 'a' && c <= 'z';
        const bool is_upper = c >= 'A' && c <= 'Z';
        if (is_digit || is_lower)
            text.push_back(c);
        else if (is_upper)
            text.push_back(static_cast<char>(c - 'A' + 'a'));
        else if (!text.empty() && text.back() != '-')
            text.push_back('-');
    }
    while (!text.empty() && text.back() == '-')
        text.pop_back();
    return text.empty() ? "card" : text;
}

/// The catalog's model and memory class, or the product's own name and its memory to the nearest GiB.
struct ModelClass {
    std::string name;
    std::int64_t vram_gib;
};
ModelClass class_of(const std::string& product, std::int64_t vram_bytes) {
    if (const CardModel* model = model_of(product, vram_bytes))
        return {std::string(model->model), vram_class_gib(*model, vram_bytes)};
    return {slug(product), (vram_bytes + gib / 2) / gib};
}

std::string pool_name(const std::string& product, std::int64_t vram_bytes) {
    const ModelClass found = class_of(product, vram_bytes);
    const std::string size = fmt::format("-{}gib", found.vram_gib);
    return found.name.substr(0, limits::spot_pool_name_bytes_max - size.size()) + size;
}

const SpotPool* pool_of(const State& state, CardId card) {
    const Card* row = state.find<Card>(card);
    if (row == nullptr) return nullptr;
    const auto found = state.spot_pools().find(spot_pool_name(*row));
    return found == state.spot_pools().end() ? nullptr : &state.at<SpotPool>(found->second);
}

/// Whether an order with these requirements may take cards of the pool.
bool names(const Requirements& wanted, const SpotPool& pool) {
    return wanted.products.empty() ||
           std::any_of(wanted.products.begin(), wanted.products.end(), [&](const std::string& product) {
               return pool_name(product, pool.vram_gib * gib) == pool.name;
           });
}

void open_pool(Transaction& tx, CardId id) {
    const Card& card = tx.state().at<Card>(id);
    std::string name = spot_pool_name(card);
    if (tx.state().spot_pools().contains(name) || tx.state().spot_pools().size() >= limits::spot_pools_max)
        return;
    SpotPool pool;
    pool.id = tx.make_id<SpotPoolId>();
    pool.name = std::move(name);
    pool.product = card.product;
    pool.vram_gib = class_of(card.product, card.vram_bytes.value_or(0)).vram_gib;
    tx.insert(pool, "spot_pool.opened");
}

/// Which cards and pools the changes of a command concern.
class Concerned {
  public:
    explicit Concerned(const State& state) : state_(state) {}

    void note(const Entry& entry) {
        const AnyRow& any = entry.after ? *entry.after : *entry.before;
        if (const auto* row = std::get_if<Listing>(&any)) return note(*row, before<Listing>(entry));
        if (const auto* row = std::get_if<Order>(&any)) return note(*row, before<Order>(entry));
        if (const auto* row = std::get_if<Lease>(&any)) return note(*row, before<Lease>(entry));
        if (const auto* row = std::get_if<Card>(&any); row != nullptr && !entry.derived) note(*row);
    }

    std::set<CardId> offered;  ///< need a pool
    std::set<CardId> touched;  ///< their pools' prices may have moved
    std::set<SpotPoolId> pools;

  private:
    template <class Row>
    static const Row* before(const Entry& entry) {
        return entry.before ? &std::get<Row>(*entry.before) : nullptr;
    }

    void note(const Listing& row, const Listing* before) {
        if (!row.spot_floor && (before == nullptr || !before->spot_floor)) return;
        touched.insert(row.cards.begin(), row.cards.end());
        if (row.spot_floor && row.state != ListingState::withdrawn)
            offered.insert(row.cards.begin(), row.cards.end());
    }
    void note(const Order& row, const Order* before) {
        if (!is_spot(row)) return;
        const bool has_moved = before == nullptr || before->state != row.state ||
                               before->price_max != row.price_max || before->promised != row.promised;
        if (!has_moved) return;
        for (const auto& [name, id] : state_.spot_pools())
            if (names(row.requirements, state_.at<SpotPool>(id))) pools.insert(id);
    }
    void note(const Lease& row, const Lease* before) {
        if (!row.spot_floor) return;
        const bool has_moved = before == nullptr || before->state != row.state ||
                               before->stop_reason != row.stop_reason || before->released != row.released;
        if (has_moved) touched.insert(row.cards.front());
    }
    /// A card that was measured anew may belong to another pool.
    void note(const Card& row) {
        const auto listing = state_.listing_of(row.id);
        if (!listing || !state_.spot_listings().contains(*listing)) return;
        offered.insert(row.id);
        touched.insert(row.id);
    }

    const State& state_;
};

void mark(Transaction& tx, SpotPoolId id) {
    SpotPool pool = tx.state().at<SpotPool>(id);
    if (pool.reprice_at) return;
    const Time next = pool.repriced_at ? *pool.repriced_at + tx.state().rules().spot_reprice : tx.now();
    pool.reprice_at = std::max(next, tx.now());
    tx.update(std::move(pool), {});
}

/// What a pool is now: its cheapest card, and how many are there.
void look_at(const State& state, SpotPool& pool, Time now) {
    pool.price.reset();
    pool.cards = 0;
    pool.cards_leased = 0;
    pool.bids = 0;
    for (const ListingId id : state.spot_listings()) {
        const Listing& listing = state.at<Listing>(id);
        if (listing.state != ListingState::open) continue;
        for (const CardId card : listing.cards) {
            if (spot_pool_name(state.at<Card>(card)) != pool.name) continue;
            ++pool.cards;
            // A price is never below the floor: what cannot be the lowest needs no look at the bids.
            if (pool.price && *listing.spot_floor >= *pool.price) continue;
            const auto price = spot_price(state, listing, {card}, *listing.spot_floor, std::nullopt, now);
            pool.price = std::min(pool.price.value_or(price), price);
        }
    }
    for (const auto& [bid, newest, id] : state.spot_holdings()) {
        const Lease& lease = state.at<Lease>(id);
        if (pool_of(state, lease.cards.front()) == state.find<SpotPool>(pool.id))
            pool.cards_leased += static_cast<std::int32_t>(lease.cards.size());
    }
    for (const auto& [bid, since, id] : state.bids()) {
        const Order& order = state.at<Order>(id);
        if (names(order.requirements, pool) && is_losing(state, order, now)) ++pool.bids;
    }
}

}  // namespace

std::string spot_pool_name(const Card& card) {
    return pool_name(card.product, card.vram_bytes.value_or(0));
}

void price_new_lease(const State& state, Lease& lease, const Order& order, const Listing& listing,
                     const std::vector<CardId>& cards, Time now) {
    lease.spot_floor = listing.spot_floor;
    const auto price = spot_price(state, listing, cards, *listing.spot_floor, order.organization, now);
    lease.price = std::min(price, order.price_max);
}

bool may_begin_segment(const State& state, const Lease& lease) {
    return std::ssize(state.segments_of(lease.id)) < limits::price_segments_per_lease_max;
}

void begin_segment(Transaction& tx, const Lease& lease) {
    LeaseSegment segment;
    segment.id = tx.make_id<SegmentId>();
    segment.lease = lease.id;
    segment.renter = lease.renter;
    segment.sequence = std::ssize(tx.state().segments_of(lease.id)) + 1;
    segment.from = lease.meter.running;
    segment.price = lease.price;
    segment.bid = tx.state().at<Order>(lease.order).price_max;
    segment.at = tx.now();
    FALLOW_ASSERT(segment.price <= segment.bid);
    tx.insert(segment, "lease.repriced");
}

void follow_pool(Transaction& tx, Lease& lease, Time since) {
    const State& state = tx.state();
    if (!lease.spot_floor || lease.state != LeaseState::running || lease.stop_reason) return;
    const SpotPool* pool = pool_of(state, lease.cards.front());
    if (pool == nullptr || !pool->repriced_at || *pool->repriced_at < since) return;
    ledger::Price price = *lease.spot_floor;
    if (const Listing* listing = state.find<Listing>(lease.listing))
        price = spot_price(state, *listing, lease.cards, price, lease.renter, tx.now());
    price = std::min(price, state.at<Order>(lease.order).price_max);
    if (price == lease.price || !may_begin_segment(state, lease)) return;
    lease.price = price;
    begin_segment(tx, lease);
}

std::vector<ledger::Segment> bill_of(const State& state, const Lease& lease) {
    std::vector<ledger::Segment> bill;
    std::optional<LeaseSegment> last;
    const auto close = [&](Millis end) {
        if (last && end > last->from) bill.push_back({last->price, end - last->from});
    };
    for (const auto& [sequence, id] : state.segments_of(lease.id)) {
        const LeaseSegment& segment = state.at<LeaseSegment>(id);
        close(segment.from);
        last = segment;
    }
    close(lease.meter.running);
    return bill;
}

void note_spot_changes(Transaction& tx) {
    const State& state = tx.state();
    if (state.spot_listings().empty() && state.spot_pools().empty()) return;
    Concerned concerned(state);
    for (const Entry& entry : tx.entries())
        concerned.note(entry);
    for (const CardId card : concerned.offered)
        open_pool(tx, card);
    for (const CardId card : concerned.touched)
        if (const SpotPool* pool = pool_of(state, card)) concerned.pools.insert(pool->id);
    for (const SpotPoolId pool : concerned.pools)
        mark(tx, pool);
}

void reprice_if_due(Transaction& tx, SpotPoolId id) {
    const SpotPool* known = tx.state().find<SpotPool>(id);
    if (known == nullptr || !known->reprice_at || *known->reprice_at > tx.now()) return;
    SpotPool pool = *known;
    const auto before = pool.price;
    look_at(tx.state(), pool, tx.now());
    pool.reprice_at.reset();
    pool.repriced_at = tx.now();
    const auto price = pool.price;
    tx.update(std::move(pool), price == before ? "" : "spot_pool.repriced");
    if (price != before) tx.add_spot_price({id, tx.now(), price});
    displace_again(tx);
}

}  // namespace fallow::market

// Spot under generated inputs: 40 markets of 150 commands each, 6,000 in all. What SPOT.md promises is
// evaluated here by its words, over all rows and without an index.
#include <random>

#include "market/spot.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

constexpr std::uint64_t markets = 40;
constexpr int commands = 150;

template <class Row>
std::vector<Row> rows_by_id(const State& state) {
    std::map<decltype(Row::id), Row> sorted;
    for (const auto& [id, row] : state.table<Row>())
        sorted.emplace(id, row);
    std::vector<Row> rows;
    for (const auto& [id, row] : sorted)
        rows.push_back(row);
    return rows;
}

/// By the published rule, for a millisecond.
Int128 storage_of(const Lease& lease) {
    return static_cast<Int128>(lease.storage_price.count) * lease.storage_bytes * 1000 /
           (Int128{730} << 30);
}

bool is_live(const Lease& lease) {
    return lease.spot_floor && !lease.stop_reason && lease.state != LeaseState::ended &&
           lease.state != LeaseState::reclaiming;
}

class SpotMarket {
  public:
    explicit SpotMarket(std::uint64_t seed) : random_(seed) {
        world_.check_every(25);
        for (int i = 0; i < 5; ++i)
            organizations_.push_back(world_.rich("organization " + std::to_string(i)));
        for (int i = 0; i < 4; ++i) {
            const auto builder =
                a_host().name("host " + std::to_string(i)).cards(3).product(i < 2 ? "H100" : "A100");
            const HostId host = world_.host(organizations_[static_cast<std::size_t>(i) % 2], builder);
            const auto terms = a_listing()
                                   .ask(price(150))
                                   .floor(price(60))
                                   .storage(usd(below(200)))
                                   .notice(seconds(below(30)));
            world_.listing(host, terms);
        }
    }

    void step() {
        if (below(3) == 0) world_.pass(Millis(below(40'000)));
        act();
        look_at_entries();
        check_rows();
    }

    int displaced = 0, repriced = 0, promised = 0, cancelled = 0;

  private:
    std::int64_t below(std::int64_t n) {
        return static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(n));
    }
    ledger::Micros price(std::int64_t cents) { return usd(0, 20 + below(cents)); }
    OrganizationId somebody() { return organizations_[static_cast<std::size_t>(below(5))]; }
    template <class Row>
    const Row* some(std::vector<Row>& rows) {
        return rows.empty() ? nullptr : &rows[static_cast<std::size_t>(below(std::ssize(rows)))];
    }

    void act() {
        const auto choice = below(20);
        if (choice < 7) return place();
        if (choice < 9) return change_bid();
        if (choice == 9) return cancel();
        if (choice < 13) return minute();
        report();
    }
    void place() {
        OrderBuilder order = an_order().cards(below(4) == 0 ? 2 : 1).term(minutes(5 + below(100)));
        below(5) == 0 ? order.price_max(price(150)) : order.bid(price(150));
        if (below(3) == 0) order.product(below(2) == 0 ? "H100" : "A100");
        order.job("busybox", 3).storing(gib(below(20)));
        static_cast<void>(world_.attempt(PlaceOrder(order), World::by(somebody())));
    }
    void change_bid() {
        auto orders = rows_by_id<Order>(world_.state());
        if (const Order* order = some(orders))
            static_cast<void>(world_.attempt(ChangeBid{order->id, ledger::Price(price(180).count)},
                                             World::by(order->organization)));
    }
    void cancel() {
        auto orders = rows_by_id<Order>(world_.state());
        const Order* order = some(orders);
        if (order == nullptr ||
            world_.attempt(CancelOrder{order->id}, World::by(order->organization)) != "ok")
            return;
        cancelled_.insert(order->id);
        ++cancelled;
    }
    /// Every pool that is marked is priced, and every host states what ran.
    void minute() {
        world_.tick_after(minutes(1));
        look_at_entries();
        check_order_of_service();
        for (const Lease& lease : rows_by_id<Lease>(world_.state())) {
            if (lease.state != LeaseState::running) continue;
            const bool is_priced = was_priced_since(*lease.usage_at, lease);
            world_.state_usage(lease.id, world_.now() - *lease.running_at);
            check_price(lease, is_priced);
        }
    }
    /// What an agent says next.
    void report() {
        auto leases = rows_by_id<Lease>(world_.state());
        const Lease* lease = some(leases);
        if (lease == nullptr || lease->released) return;
        AgentPhase phase = AgentPhase::gone;
        if (lease->state == LeaseState::allocated) phase = AgentPhase::accepted;
        if (lease->state == LeaseState::preparing) phase = AgentPhase::running;
        if (lease->state == LeaseState::running) phase = AgentPhase::exited;
        if (phase == AgentPhase::exited && !lease->stop_reason && below(3) != 0) return;
        AgentReport said = world_.report(lease->id, phase);
        if (lease->stop_reason) said.stop = StopCause::wanted;
        static_cast<void>(world_.tell(said));
    }

    // --- the rules, in their words

    [[nodiscard]] bool could_take(const Order& order, const Listing& listing, CardId id) const {
        const Card& card = world_.state().at<Card>(id);
        const auto& products = order.requirements.products;
        const auto wanted = [&](const Card& row) {
            return products.empty() || std::ranges::find(products, row.product) != products.end();
        };
        return listing.spot_floor && order.price_max >= *listing.spot_floor && wanted(card) &&
               std::ssize(listing.cards) >= order.count;
    }
    [[nodiscard]] bool loses(const Order& order) const {
        const auto hold = ledger::cost_ceiling({order.price_max, order.count * 1000},
                                               std::min(order.term, minutes(40) + seconds(10)));
        return order.state == OrderState::standing && order.pricing == OrderPricing::spot &&
               order.promised.empty() && order.expires_at > world_.now() &&
               world_.balance(order.organization, ledger::AccountKind::available) >= hold;
    }
    [[nodiscard]] ledger::Price price_by_the_rule(const Lease& lease) const {
        ledger::Price highest = *lease.spot_floor;
        for (const Order& order : rows_by_id<Order>(world_.state()))
            for (const CardId card : lease.cards) {
                const auto& listing = world_.state().at<Listing>(*world_.state().listing_of(card));
                if (loses(order) && order.organization != lease.renter &&
                    order.organization != lease.seller && could_take(order, listing, card))
                    highest = std::max(highest, order.price_max);
            }
        return std::min(highest, world_.order(lease.order).price_max);
    }
    [[nodiscard]] bool was_priced_since(Time since, const Lease& lease) const {
        const std::string& product = world_.state().at<Card>(lease.cards.front()).product;
        for (const SpotPool& pool : rows_by_id<SpotPool>(world_.state()))
            if (pool.product == product) return pool.repriced_at && *pool.repriced_at >= since;
        return false;
    }
    /// The statement was charged at the price before it; the price after it is the rule's.
    void check_price(const Lease& before, bool is_priced) {
        if (!before.spot_floor || before.stop_reason) return;
        const Lease& after = world_.lease(before.id);
        const Int128 rate =
            static_cast<Int128>(before.price.micros_per_hour) * before.thousandths + storage_of(before);
        const Int128 added = rate * (after.meter.running - before.meter.running).count;
        CHECK(after.meter.numerator - before.meter.numerator == added);
        if (is_priced && after.state == LeaseState::running) {
            CHECK(after.price == price_by_the_rule(after));
            repriced += after.price != before.price ? 1 : 0;
        }
    }
    /// No bid that stands could have had a card that is free, or one that a weaker bid holds.
    void check_order_of_service() {
        const auto leases = rows_by_id<Lease>(world_.state());
        const auto step = world_.state().settings().spot_step.micros_per_hour;
        for (const Order& order : rows_by_id<Order>(world_.state())) {
            if (!loses(order) || order.count != 1) continue;
            for (const ListingId id : world_.state().spot_listings()) {
                const Listing& listing = world_.state().at<Listing>(id);
                for (const auto& [index, card] : world_.state().free_cards_of(id))
                    CHECK_FALSE(could_take(order, listing, card));
            }
            for (const Lease& lease : leases) {
                if (!is_live(lease) || lease.renter == order.organization) continue;
                const auto& listing = world_.state().at<Listing>(lease.listing);
                const auto bid = world_.order(lease.order).price_max.micros_per_hour;
                if (could_take(order, listing, lease.cards.front()))
                    CHECK(order.price_max.micros_per_hour < bid + step);
            }
        }
    }
    /// Who is displaced is displaced by a fixed price or by a bid that is higher by the step.
    void look_at_entries() {
        std::int64_t best = 0;
        for (const Entry& entry : world_.last_entries()) {
            if (const auto* order = entry.after ? std::get_if<Order>(&*entry.after) : nullptr) {
                CHECK_FALSE((order->state == OrderState::filled && cancelled_.contains(order->id)));
                if (entry.event == "order.promised") {
                    ++promised;
                    best = std::max(best, order->pricing == OrderPricing::spot
                                              ? order->price_max.micros_per_hour
                                              : INT64_MAX);
                }
            }
            const auto* lease = entry.after ? std::get_if<Lease>(&*entry.after) : nullptr;
            const auto* before = entry.before ? std::get_if<Lease>(&*entry.before) : nullptr;
            if (lease == nullptr || before == nullptr || before->stop_reason ||
                lease->stop_reason != EndReason::outbid)
                continue;
            ++displaced;
            const auto bid = world_.order(lease->order).price_max.micros_per_hour;
            CHECK(best - world_.state().settings().spot_step.micros_per_hour >= bid);
        }
    }
    /// Never over the own bid: not the price, and not what was charged.
    void check_rows() {
        for (const Lease& lease : rows_by_id<Lease>(world_.state())) {
            if (!lease.spot_floor) continue;
            CHECK(lease.price <= world_.order(lease.order).price_max);
            CHECK(lease.price >= *lease.spot_floor);
            Int128 most = 0;
            const auto& segments = world_.state().segments_of(lease.id);
            REQUIRE_FALSE(segments.empty());
            for (auto at = segments.begin(); at != segments.end(); ++at) {
                const auto& segment = world_.state().at<LeaseSegment>(at->second);
                const Millis end = std::next(at) == segments.end()
                                       ? lease.meter.running
                                       : world_.state().at<LeaseSegment>(std::next(at)->second).from;
                most += static_cast<Int128>(segment.bid.micros_per_hour) * (end - segment.from).count *
                        lease.thousandths;
            }
            CHECK(lease.meter.numerator <= most + storage_of(lease) * lease.meter.running.count);
        }
    }

    std::mt19937_64 random_;
    World world_;
    std::vector<OrganizationId> organizations_;
    std::set<OrderId> cancelled_;
};

}  // namespace

TEST_CASE("Generated spot markets keep the rules of SPOT.md") {
    int displaced = 0, repriced = 0, promised = 0, cancelled = 0;
    for (std::uint64_t seed = 1; seed <= markets; ++seed) {
        SpotMarket market(seed);
        for (int i = 0; i < commands; ++i) {
            INFO("seed " << seed << ", command " << i);
            market.step();
        }
        displaced += market.displaced;
        repriced += market.repriced;
        promised += market.promised;
        cancelled += market.cancelled;
    }
    // Markets in which nothing happens prove nothing.
    CHECK(displaced > 100);
    CHECK(promised > 100);
    CHECK(repriced > 50);
    CHECK(cancelled > 50);
}

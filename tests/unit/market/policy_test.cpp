// The policy inside the market's decisions: who gets which card, what is recorded, approvals, versions.
#include "market/policy_check.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

/// An H100 in Singapore, asked for by a renter in Germany and one in China.
struct Market {
    Market() {
        seller = world.organization("seller", "SG");
        german = world.organization("german", "DE");
        chinese = world.organization("chinese", "CN");
        for (const OrganizationId renter : {german, chinese})
            world.deposit(renter, usd(1000));
        host = world.host(seller, a_host().country("SG").cards(4).product("NVIDIA H100 80GB HBM3"));
        listing = world.listing(host);
    }
    Policy set(const std::string& text) {
        return world.must<Policy>(SetPolicy{world.state().policy().version, text}, World::admin());
    }
    static PlaceOrder with_end_use(PlaceOrder order, EndUse use) {
        order.end_use = use;
        return order;
    }
    World world;
    OrganizationId seller, german, chinese;
    HostId host;
    ListingId listing;
};

std::string text_of(const Order& order) {
    return std::string(name_of(order.state)) + ' ' +
           (order.reason ? std::string(name_of(*order.reason)) : "-") + ' ' +
           order.policy_rule.value_or("-") + ' ' +
           (order.policy_effect ? std::string(name_of(*order.policy_effect)) : "-");
}

}  // namespace

TEST_CASE("Policy: a lease says which version and which rule allowed it") {
    Market market;
    const Lease& first = market.world.lease(market.world.rent(market.german, an_order()));
    CHECK(first.policy_version == 0);
    CHECK_FALSE(first.policy_rule);
    CHECK(market.set("allow germans when renter = DE because \"they may\"").version == 1);
    const Lease& second = market.world.lease(market.world.rent(market.german, an_order()));
    CHECK(second.policy_version == 1);
    CHECK(second.policy_rule == "germans");
}

TEST_CASE("Policy: what becomes of an order that a rule keeps from its match") {
    const std::string deny = "deny no-cn when renter = CN because \"r\"";
    const std::string ask = "needs-approval ask-cn when renter = CN because \"r\"";
    struct Case {
        std::string policy;
        bool fill_or_kill;
        bool names_listing;
        const char* expected;
    };
    for (const Case& row :
         std::vector<Case>{{deny, false, false, "standing - no-cn deny"},
                           {deny, true, false, "rejected policy_denied no-cn deny"},
                           {deny, false, true, "rejected policy_denied no-cn deny"},
                           {ask, false, false, "standing - ask-cn needs_approval"},
                           {ask, true, false, "rejected approval_needed ask-cn needs_approval"},
                           {ask, false, true, "standing - ask-cn needs_approval"},
                           {"", false, false, "filled - - -"}}) {
        INFO(row.policy << ' ' << row.fill_or_kill << row.names_listing);
        Market market;
        market.set(row.policy);
        OrderBuilder order = an_order().job();
        if (row.fill_or_kill) order.fill_or_kill();
        if (row.names_listing) order.on(market.listing);
        const OrderPlaced placed = market.world.place(market.chinese, order);
        CHECK(text_of(placed.order) == row.expected);
        const bool is_rejected = placed.order.state == OrderState::rejected;
        if (is_rejected) CHECK(market.world.events() == "order.rejected");
        CHECK(placed.job.has_value() == !is_rejected);
        CHECK(placed.order.policy_version.has_value() == (row.policy != ""));
        market.world.forget_final_rows();
        CHECK((market.world.state().find<Order>(placed.order.id) == nullptr) == is_rejected);
    }
}

TEST_CASE("Policy: a rule is no obstacle where something else is") {
    Market market;
    market.set("deny no-cn when renter = CN because \"r\"");
    const auto try_it = [&](OrderBuilder order) {
        return market.world.attempt(PlaceOrder(order.fill_or_kill()), World::by(market.chinese));
    };
    CHECK(try_it(an_order().price_max(usd(0, 10))) == "no_match");
    CHECK(try_it(an_order().cards(5)) == "no_match");
    CHECK(try_it(an_order().product("another")) == "no_match");
    CHECK(try_it(an_order().cards(4)) == "ok");  // rejected by the rule
}

TEST_CASE("Policy: cards of one host are judged each for itself") {
    World world;
    const OrganizationId seller = world.organization("seller", "SG");
    const OrganizationId chinese = world.organization("chinese", "CN");
    world.deposit(chinese, usd(1000));
    const HostBuilder builder = a_host().country("SG").cards(4);
    const HostId host = world.enroll(seller, builder);
    ReportInventory report = builder.inventory(world.now());
    for (int i : {0, 2})
        report.cards[static_cast<std::size_t>(i)].product = "NVIDIA H100 80GB HBM3";
    for (int i : {1, 3})
        report.cards[static_cast<std::size_t>(i)].product = "NVIDIA A30";
    world.must<InventoryAccepted>(report, world.agent_of(host));
    world.back(host);
    world.listing(host);
    const Lease& lease = world.lease(world.rent(chinese, an_order().cards(2)));
    for (const CardId card : lease.cards)
        CHECK(world.state().at<Card>(card).product == "NVIDIA A30");
    const OrderPlaced more = world.place(chinese, an_order());
    CHECK(text_of(more.order) == "standing - us-3a090a-renter needs_approval");
}

TEST_CASE("Policy: an approval lets an organization's orders through, one model at a time") {
    Market market;
    World& world = market.world;
    const OrderId waiting = world.place(market.chinese, an_order().job()).order.id;
    CHECK(text_of(world.order(waiting)) == "standing - us-3a090a-renter needs_approval");
    world.must<PolicyApproval>(CreateApproval{market.chinese, "h200-sxm", ""}, World::admin());
    CHECK(world.order(waiting).state == OrderState::standing);
    world.must<PolicyApproval>(CreateApproval{market.german, "h100-sxm", ""}, World::admin());
    CHECK(world.order(waiting).state == OrderState::standing);
    const auto approval =
        world.must<PolicyApproval>(CreateApproval{market.chinese, "h100-sxm", "licence 1"}, World::admin());
    REQUIRE(world.order(waiting).state == OrderState::filled);
    const Lease& lease = world.lease(*world.order(waiting).lease);
    CHECK(lease.policy_rule == "us-3a090a-renter");
    CHECK(world.events() == "approval.created job.assigned lease.allocated order.filled");

    world.must<Done>(RemoveApproval{approval.id}, World::admin());
    CHECK(world.place(market.chinese, an_order()).order.state == OrderState::standing);
    CHECK(world.phase(lease.id) == "allocated");
}

TEST_CASE("Policy: an approved order goes through with all attempts of its job, and no other order does") {
    Market market;
    World& world = market.world;
    const OrderId waiting = world.place(market.chinese, an_order().job("busybox", 2)).order.id;
    const OrderId other = world.place(market.chinese, an_order()).order.id;
    CHECK(world.must<Order>(ApproveOrder{waiting}, World::admin()).state == OrderState::filled);
    CHECK(world.order(other).state == OrderState::standing);
    const LeaseId first = *world.order(waiting).lease;
    CHECK(world.attempt(ReclaimLease{first}, World::by(market.seller)) == "ok");
    const Job& job = world.job_of(first);
    CHECK(job.state == JobState::assigned);
    CHECK(job.order != waiting);
    CHECK(world.order(*job.order).approved);
    CHECK_FALSE(world.order(*job.order).policy_rule);
}

TEST_CASE("Policy: an organization that is not there is in no country") {
    Market market;
    market.set(
        "deny not-de when renter not in (DE) because \"r\"\nallow de when renter in (DE) because \"r\"");
    World& world = market.world;
    Order query;
    query.price_max = ledger::Price(usd(9).count);
    query.term = hours(1);
    const Pairing pairing = pair_up(world.state(), query, world.listing_row(market.listing), world.now());
    const Card& card = world.state().at<Card>(world.listing_row(market.listing).cards.front());
    CHECK(policy_decision(pairing, card).rule->name == "not-de");
}

TEST_CASE("Policy: no approval helps against a denial") {
    Market market;
    World& world = market.world;
    market.set("deny no-cn when renter = CN because \"r\"");
    const OrderId waiting = world.place(market.chinese, an_order()).order.id;
    world.must<PolicyApproval>(CreateApproval{market.chinese, "h100-sxm", ""}, World::admin());
    world.must<Order>(ApproveOrder{waiting}, World::admin());
    CHECK(world.order(waiting).state == OrderState::standing);
}

TEST_CASE("Policy: a new version decides the orders that stand, and leaves leases alone") {
    Market market;
    World& world = market.world;
    const LeaseId running = world.rent(market.german, an_order().job());
    const OrderId waiting = world.place(market.chinese, an_order()).order.id;
    market.set("deny all because \"closed\"");
    CHECK(world.phase(running) == "allocated");
    CHECK(world.order(waiting).state == OrderState::standing);
    market.set("");
    CHECK(world.order(waiting).state == OrderState::filled);
    CHECK(world.lease(*world.order(waiting).lease).policy_version == 2);
    world.reload();
    CHECK(world.state().policy().version == 2);
    CHECK(world.state().policy().rules->empty());
}

TEST_CASE("Policy: the end use that an order states") {
    Market market;
    market.set("needs-approval training when end_use = ai_training because \"r\"");
    World& world = market.world;
    const PlaceOrder order = an_order();
    CHECK(world.place(market.german, order).order.state == OrderState::filled);
    CHECK(world.place(market.german, Market::with_end_use(order, EndUse::research)).order.state ==
          OrderState::filled);
    const Order asked = world.place(market.german, Market::with_end_use(order, EndUse::ai_training)).order;
    CHECK(text_of(asked) == "standing - training needs_approval");
    CHECK(asked.end_use == EndUse::ai_training);
}

TEST_CASE("Refusals: policies and approvals") {
    Market market;
    World& world = market.world;
    const Caller admin = World::admin();
    const OrderId standing = world.place(market.chinese, an_order()).order.id;
    const OrderId filled = world.place(market.german, an_order()).order.id;
    world.must<PolicyApproval>(CreateApproval{market.german, "a30", ""}, admin);
    struct Case {
        const char* what;
        const char* expected;
        Command command;
    };
    for (const Case& row : std::vector<Case>{
             {"another version", "precondition_failed /replaces_version", SetPolicy{1, ""}},
             {"no policy", "invalid_field /text", SetPolicy{0, "deny"}},
             {"an approval for nobody", "not_found /organization_id",
              CreateApproval{OrganizationId(RawId{5, 5}), "a30", ""}},
             {"an approval for the platform", "not_found /organization_id",
              CreateApproval{platform_organization, "a30", ""}},
             {"an approval of no model", "invalid_field /model",
              CreateApproval{market.chinese, "h100", ""}},
             {"an approval that is there", "wrong_state /model", CreateApproval{market.german, "a30", ""}},
             {"no such approval", "not_found", RemoveApproval{ApprovalId(RawId{5, 5})}},
             {"no such order", "not_found", ApproveOrder{OrderId(RawId{5, 5})}},
             {"an order that is filled", "wrong_state", ApproveOrder{filled}}}) {
        INFO(row.what);
        const Decision decision = world.decide(row.command, admin);
        REQUIRE_FALSE(decision.outcome.ok());
        const Error& error = decision.outcome.error();
        CHECK(std::string(name_of(error.code)) + (error.pointer.empty() ? "" : ' ' + error.pointer) ==
              row.expected);
        CHECK(error.detail.ends_with('.'));
    }
    world.must<PolicyApproval>(CreateApproval{market.german, "a40", ""}, admin);
    market.set("deny no-cn when renter = CN because \"r\"");
    world.must<Order>(ApproveOrder{standing}, admin);
    CHECK(world.attempt(ApproveOrder{standing}, admin) == "wrong_state");
}

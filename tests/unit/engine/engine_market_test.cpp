// The engine and the market's time: heartbeats, silence, deadlines, receipts.
#include "engine_fixture.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

/// A market with one host that has enrolled and a renter with money.
struct Prepared {
    Prepared() {
        seller = world.organization("seller");
        renter = world.rich("renter");
    }
    World world;
    OrganizationId seller, renter;
};

bool is_online(const Host& host) {
    return host.state == HostState::online && !host.unreachable_since;
}
bool is_unreachable(const Host& host) {
    return host.state == HostState::unreachable && host.unreachable_since;
}

}  // namespace

TEST_CASE("A heartbeat brings a host online, silence makes it unreachable, a heartbeat brings it back") {
    Prepared prepared;
    const HostId host = prepared.world.enroll(prepared.seller);
    EngineFixture fixture(prepared.world.database());
    fixture.start();
    fixture.engine().heartbeat(host);
    REQUIRE(fixture.database.wait_for_row<Host>(is_online));
    fixture.pass(seconds(15));
    fixture.engine().heartbeat(host);
    fixture.pass(seconds(15));
    // Exactly the window is not yet silence; a command shows that the timers' thread has gone round.
    CHECK(fixture.submit(EngineFixture::new_organization("marker")).answer().status == 201);
    CHECK(is_online(fixture.database.rows().rows<Host>().at(host)));
    fixture.pass(Millis(1));
    REQUIRE(fixture.database.wait_for_row<Host>(is_unreachable));
    fixture.engine().heartbeat(host);
    REQUIRE(fixture.database.wait_for_row<Host>(is_online));
    // Four journal records: online, the marker, unreachable, online. A heartbeat costs none.
    fixture.engine().heartbeat(host);
    CHECK(fixture.submit(EngineFixture::new_organization("last")).answer().status == 201);
    CHECK(fixture.database.journal().size() == 5);
}

TEST_CASE("A host's address is noted when it changes, and by no other heartbeat") {
    Prepared prepared;
    const HostId host = prepared.world.host(prepared.seller);
    EngineFixture fixture(prepared.world.database());
    fixture.start();
    const auto is_at = [](const std::string& address) {
        return [address](const Host& row) { return row.address.value_or("") == address; };
    };
    const auto row = [&] { return fixture.database.rows().rows<Host>().at(host); };
    fixture.engine().heartbeat(host, "198.41.0.4");
    REQUIRE(fixture.database.wait_for_row<Host>(is_at("198.41.0.4")));
    const Time since = *row().address_since;
    fixture.pass(seconds(5));
    fixture.engine().heartbeat(host, "198.41.0.4");
    fixture.engine().heartbeat(host);  // from where is not known: nothing is learnt
    CHECK(fixture.submit(EngineFixture::new_organization("marker")).answer().status == 201);
    CHECK(row().address_since == since);
    CHECK(fixture.database.journal().size() == 2);
    for (int i = 0; i < 60; ++i) {
        fixture.pass(seconds(10));
        fixture.engine().heartbeat(host, "199.9.14.201");
    }
    REQUIRE(fixture.database.wait_for_row<Host>(is_at("199.9.14.201")));
    CHECK(*row().address_since > since);
    CHECK(fixture.database.journal().size() == 3);
}

TEST_CASE("A new leader gives every host a full window") {
    Prepared prepared;
    const HostId host = prepared.world.host(prepared.seller);
    EngineFixture fixture(prepared.world.database());
    fixture.pass(hours(5));
    fixture.start();
    fixture.pass(seconds(15));
    CHECK(fixture.submit(EngineFixture::new_organization("marker")).answer().status == 201);
    CHECK(is_online(fixture.database.rows().rows<Host>().at(host)));
    fixture.pass(Millis(1));
    REQUIRE(fixture.database.wait_for_row<Host>(is_unreachable));
}

TEST_CASE("Deadlines pass without anybody's command") {
    Prepared prepared;
    const HostId host = prepared.world.host(prepared.seller);
    prepared.world.listing(host);
    const LeaseId lease = prepared.world.rent(prepared.renter, an_order().job());
    const OrderId order = prepared.world.place(prepared.renter, an_order().expires_in(minutes(1))).order.id;
    EngineFixture fixture(prepared.world.database());
    fixture.config.host_lost = days(1);
    fixture.start();
    CHECK(fixture.engine().stats().active_leases == 1);
    CHECK(fixture.engine().stats().standing_orders == 1);
    fixture.pass(minutes(1));
    REQUIRE(fixture.database.wait_for_row<Order>(
        [&](const Order& row) { return row.id == order && row.state == OrderState::expired; }));
    REQUIRE(fixture.database.wait_for_row<Lease>(
        [&](const Lease& row) { return row.id == lease && row.state == LeaseState::ended; }));
    // The lease's receipt is signed in the same batch.
    const auto receipts = fixture.database.receipts();
    REQUIRE(receipts.size() == 1);
    CHECK(receipts[0].lease == lease);
    CHECK(receipts[0].statement.starts_with("fallow-receipt-v1\nserver_key: server-key\nlease: " +
                                            lease.text()));
    CHECK(receipts[0].statement.find("end_reason: start_timeout\n") != std::string::npos);
    CHECK(receipts[0].server_signature == "signed " + std::to_string(receipts[0].statement.size()));
    CHECK(fixture.database.journal().back().record.find("\"actor\":\"system\"") != std::string::npos);
}

TEST_CASE("A deadline that the database refuses does not keep the others from passing") {
    Prepared prepared;
    std::vector<OrderId> orders;
    for (int i = 0; i < 5; ++i)
        orders.push_back(prepared.world.place(prepared.renter, an_order().expires_in(minutes(1))).order.id);
    EngineFixture fixture(prepared.world.database());
    fixture.start();
    fixture.database.refuse([poisoned = orders[2]](const Changes& changes) {
        for (const Order& row : changes.orders.updates)
            if (row.id == poisoned) return true;
        return false;
    });
    fixture.pass(minutes(1));
    for (const OrderId id : orders) {
        if (id == orders[2]) continue;
        REQUIRE(fixture.database.wait_for_row<Order>(
            [&](const Order& row) { return row.id == id && row.state == OrderState::expired; }));
    }
    CHECK(fixture.database.rows().rows<Order>().at(orders[2]).state == OrderState::standing);
    // It is left alone from then on: the log does not fill.
    CHECK(fixture.submit(EngineFixture::new_organization("marker")).answer().status == 201);
    const auto quarantined = fixture.engine().stats().quarantined;
    CHECK(fixture.submit(EngineFixture::new_organization("marker 2")).answer().status == 201);
    CHECK(fixture.engine().stats().quarantined == quarantined);
}

TEST_CASE("What is final leaves the memory after its commit") {
    Prepared prepared;
    const OrderId order = prepared.world.place(prepared.renter, an_order()).order.id;
    EngineFixture fixture(prepared.world.database());
    fixture.start();
    const Caller renter = World::by(prepared.renter);
    CHECK(fixture.submit(CancelOrder{order}, renter).answer().status == 200);
    // The commit after it shows that the one before is dealt with.
    CHECK(fixture.submit(EngineFixture::new_organization("marker")).answer().status == 201);
    CHECK(fixture.submit(CancelOrder{order}, renter).answer().body == "not_found");
}

TEST_CASE("What was undone is as if it had never been") {
    Prepared prepared;
    const OrderId order = prepared.world.place(prepared.renter, an_order().job()).order.id;
    EngineFixture fixture(prepared.world.database());
    fixture.start();
    const Caller renter = World::by(prepared.renter);
    fixture.database.script({Fate::good, Fate::failed, Fate::lost_before});
    fixture.database.hold();
    Call blocker = fixture.submit(EngineFixture::new_organization("blocker"));
    REQUIRE(fixture.database.wait_for_commits(1));
    Call cancel = fixture.submit(CancelOrder{order}, renter, "k");
    Call again = fixture.submit(CancelOrder{order}, renter);
    again.wait_decided();
    fixture.database.let(1);
    REQUIRE(fixture.database.wait_for_commits(2));
    Call deposit = fixture.submit(Deposit{prepared.renter, usd(1), "more"}, World::admin());
    deposit.wait_decided();
    fixture.database.release();
    CHECK(cancel.answer().status == 200);
    CHECK(again.answer().body == "wrong_state");
    CHECK(deposit.answer().status == 200);
    CHECK(fixture.database.rows().rows<Order>().at(order).version == 2);
    CHECK_NOTHROW(fixture.database.rows().check());
}

TEST_CASE("Those who wait for a host, a job or the journal are woken by its change") {
    Prepared prepared;
    const HostId host = prepared.world.host(prepared.seller);
    prepared.world.listing(host);
    EngineFixture fixture(prepared.world.database());
    fixture.start();
    const auto deadline = engine::Hub::Clock::now() + std::chrono::minutes(5);
    std::promise<bool> on_host;
    std::promise<bool> on_journal;
    const std::string topic = "host/" + host.text();
    fixture.hub.wait(topic, fixture.hub.version(topic), deadline,
                     [&](bool changed) { on_host.set_value(changed); });
    fixture.hub.wait("journal", fixture.hub.version("journal"), deadline,
                     [&](bool changed) { on_journal.set_value(changed); });
    CHECK(fixture.submit(PlaceOrder(an_order().job()), World::by(prepared.renter)).answer().status == 200);
    CHECK(on_host.get_future().get());
    CHECK(on_journal.get_future().get());
}

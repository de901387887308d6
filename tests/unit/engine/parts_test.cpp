// The engine's parts: presence, kept replies, the hub, the journal's text.
#include <cstdint>
#include <future>
#include <nlohmann/json.hpp>
#include <vector>

#include "engine/hub.hpp"
#include "engine/journal.hpp"
#include "engine/presence.hpp"
#include "engine/reply_cache.hpp"
#include "support/market_world.hpp"

using namespace fallow;
using namespace fallow::engine;
using namespace fallow::testing;

TEST_CASE("Presence: who is new, who is silent, who is back") {
    Presence presence;
    const HostId a(RawId{1, 1});
    const HostId b(RawId{1, 2});
    using Hosts = std::vector<HostId>;
    CHECK(presence.heard(a, Time(1000)));
    CHECK_FALSE(presence.heard(a, Time(2000)));
    presence.expect(b, Time(2000));
    CHECK_FALSE(presence.heard(b, Time(2500)));
    CHECK(presence.lost(Time(17'000), seconds(15)).empty());
    CHECK(presence.lost(Time(17'001), seconds(15)) == Hosts{a});
    CHECK(presence.lost(Time(17'001), seconds(15)).empty());
    CHECK(presence.lost(Time(17'501), seconds(15)) == Hosts{b});
    CHECK(presence.heard(a, Time(18'000)));
    CHECK(presence.is_back(a));
    CHECK_FALSE(presence.is_back(b));
    // A minute in which nobody could be heard is no silence of theirs; it does not reach into the future.
    presence.excuse(seconds(60), Time(79'000));
    CHECK(presence.lost(Time(93'000), seconds(15)).empty());
    CHECK(presence.lost(Time(93'001), seconds(15)) == Hosts{a});
    CHECK(presence.heard(a, Time(94'000)));
    presence.excuse(seconds(60), Time(94'500));
    CHECK(presence.lost(Time(109'501), seconds(15)) == Hosts{a});
    presence.clear();
    CHECK(presence.lost(Time(99'000), seconds(15)).empty());
    CHECK(presence.heard(a, Time(99'000)));
}

TEST_CASE("Presence: a host that may take its time is lost a window after it") {
    Presence presence;
    const HostId a(RawId{1, 1});
    const HostId b(RawId{1, 2});
    using Hosts = std::vector<HostId>;
    presence.expect(a, Time(40'000));
    presence.expect(b, Time(40'000));
    // Once it is heard it is a host like any other.
    CHECK_FALSE(presence.heard(b, Time(10'000)));
    presence.excuse(seconds(5), Time(12'000));
    CHECK(presence.lost(Time(27'000), seconds(15)).empty());
    CHECK(presence.lost(Time(27'001), seconds(15)) == Hosts{b});
    CHECK(presence.lost(Time(55'000), seconds(15)).empty());
    CHECK(presence.lost(Time(55'001), seconds(15)) == Hosts{a});
}

TEST_CASE("The more hosts there are, the longer idle ones may take to come back") {
    struct Row {
        std::size_t hosts;
        std::int64_t ms;
    };
    const Row rows[] = {{0, 0},           {249, 0},         {250, 1000},
                        {10'000, 40'000}, {11'250, 45'000}, {SIZE_MAX, 45'000}};
    for (const Row& row : rows) {
        INFO(row.hosts);
        CHECK(idle_return(row.hosts).count == row.ms);
    }
}

TEST_CASE("Presence: a host that is heard from elsewhere has moved, and not more often than is told") {
    Presence presence;
    const HostId a(RawId{1, 1});
    const auto moved = [&](const std::string& address, Time now) {
        static_cast<void>(presence.heard(a, now));
        return presence.has_moved(a, address, now, minutes(10));
    };
    CHECK_FALSE(moved("", Time(1000)));
    CHECK(moved("198.41.0.4", Time(2000)));
    CHECK_FALSE(moved("198.41.0.4", Time(3000)));
    CHECK_FALSE(moved("199.9.14.201", Time(4000)));
    CHECK_FALSE(moved("199.9.14.201", Time(601'999)));
    CHECK(moved("199.9.14.201", Time(602'000)));
    CHECK(moved("", Time(1'202'000)));
    // What a new leader has read is not told again, whether the host is online or not.
    presence.clear();
    presence.believe(a, "198.41.0.4");
    CHECK(presence.heard(a, Time(2'000'000)));
    CHECK_FALSE(moved("198.41.0.4", Time(2'000'001)));
    presence.expect(a, Time(2'000'002));
    CHECK_FALSE(moved("198.41.0.4", Time(2'000'003)));
    CHECK(moved("199.9.14.201", Time(2'000'004)));
}

TEST_CASE("Kept replies are found by organization, route and key, and the oldest go first") {
    ReplyCache cache(2);
    const auto key = [](std::uint64_t organization, const std::string& route, const std::string& name) {
        return IdempotencyKey{OrganizationId(RawId{1, organization}), route, name, "hash"};
    };
    cache.add(key(1, "POST /a", "k"), Reply{201, "one"});
    REQUIRE(cache.find(key(1, "POST /a", "k")) != nullptr);
    CHECK(cache.find(key(1, "POST /a", "k"))->reply.body == "one");
    CHECK(cache.find(key(1, "POST /a", "k"))->body_hash == "hash");
    CHECK(cache.find(key(2, "POST /a", "k")) == nullptr);
    CHECK(cache.find(key(1, "POST /b", "k")) == nullptr);
    CHECK(cache.find(key(1, "POST /a", "other")) == nullptr);
    cache.add(key(2, "POST /a", "k"), Reply{201, "two"});
    cache.add(key(3, "POST /a", "k"), Reply{201, "three"});
    CHECK(cache.find(key(1, "POST /a", "k")) == nullptr);
    CHECK(cache.find(key(2, "POST /a", "k")) != nullptr);
    cache.remove(key(2, "POST /a", "k"));
    CHECK(cache.find(key(2, "POST /a", "k")) == nullptr);
    cache.add(key(4, "POST /a", "k"), Reply{201, "four"});
    CHECK(cache.find(key(3, "POST /a", "k")) != nullptr);
    cache.clear();
    CHECK(cache.find(key(3, "POST /a", "k")) == nullptr);
}

TEST_CASE("The hub answers each wait once: at a change, a cancellation or its end") {
    Hub hub;
    const auto far = Hub::Clock::now() + std::chrono::hours(1);
    std::vector<std::string> told;
    const auto note = [&](const std::string& who) {
        return [&told, who](bool changed) { told.push_back(who + (changed ? " changed" : " ended")); };
    };
    hub.wait("a", hub.version("a"), far, note("first"));
    hub.wait("b", hub.version("b"), far, note("elsewhere"));
    const auto cancelled = hub.wait("a", hub.version("a"), far, note("cancelled"));
    hub.cancel(cancelled);
    hub.cancel(cancelled);
    const auto before = hub.version("a");
    hub.publish("a");
    hub.publish("a");
    CHECK(told == std::vector<std::string>{"cancelled ended", "first changed"});
    CHECK(hub.version("a") == before + 2);
    hub.wait("a", before, far, note("late"));
    CHECK(told.back() == "late changed");

    std::promise<bool> timed_out;
    hub.wait("a", hub.version("a"), Hub::Clock::now(), [&](bool changed) { timed_out.set_value(changed); });
    CHECK_FALSE(timed_out.get_future().get());

    std::promise<bool> stopped;
    hub.wait("a", hub.version("a"), far, [&](bool changed) { stopped.set_value(changed); });
    hub.stop();
    CHECK_FALSE(stopped.get_future().get());
    hub.wait("a", hub.version("a"), far, note("after the stop"));
    CHECK(told.back() == "after the stop ended");
}

TEST_CASE("Everybody who waits is woken when nobody knows what was missed") {
    Hub hub;
    const auto far = Hub::Clock::now() + std::chrono::hours(1);
    const auto seen = hub.version("unheard of");
    int woken = 0;
    for (const char* topic : {"a", "b", "b"})
        hub.wait(topic, hub.version(topic), far, [&](bool changed) { woken += changed ? 1 : 0; });
    hub.publish_all();
    CHECK(woken == 3);
    CHECK(hub.version("unheard of") != seen);
    hub.publish_all();
    hub.publish("b");
    CHECK(woken == 3);
}

TEST_CASE("A journal record is JSON of after-images, with who may see them") {
    World world;
    const auto seller = world.organization("seller \"quoted\"\n\\");
    const auto organization_text = nlohmann::json::parse(journal_text(world.last_entries()));
    CHECK(organization_text["v"] == 2);
    REQUIRE(organization_text["entries"].size() == 1);
    CHECK(organization_text["entries"][0]["row"]["name"] == "seller \"quoted\"\n\\");
    CHECK(organization_text["entries"][0]["event"] == "organization.created");

    const auto renter = world.rich("renter");
    const HostId host = world.host(seller);
    world.listing(host);
    market::PlaceOrder order = an_order().job("image");
    order.job->document = "{\"env\":{\"PASSWORD\":\"a secret\"}}";
    const auto placed = world.place(renter, order);
    const std::string text = journal_text(world.last_entries());
    CHECK(text.find("secret") == std::string::npos);
    const auto record = nlohmann::json::parse(text);
    std::string events;
    for (const auto& entry : record["entries"])
        events += entry["event"].get<std::string>() + ' ';
    CHECK(events == "job.queued order.placed job.assigned lease.allocated order.filled ");
    const auto& lease = record["entries"][3];
    CHECK(lease["t"] == "leases");
    CHECK(lease["id"] == placed.lease->id.text());
    CHECK(lease["orgs"] == nlohmann::json::array({renter.text(), seller.text()}));
    CHECK(lease["reason"].is_null());
    CHECK(lease["actor"] == "key_1");
    CHECK(lease["row"]["state"] == "allocated");
    CHECK(lease["row"]["numerator"] == "0");
    CHECK(lease["row"]["end_reason"].is_null());
    CHECK(lease["row"]["card_ids"].size() == 1);
}

TEST_CASE("A removed row is journalled as removed, with what it was") {
    World world;
    const auto freeze = world.must<market::Freeze>(
        market::CreateFreeze{market::FreezeKind::image, "bad", "why"}, World::admin());
    world.must<Done>(market::RemoveFreeze{freeze.id}, World::admin());
    const auto record = nlohmann::json::parse(journal_text(world.last_entries()));
    REQUIRE(record["entries"].size() == 1);
    CHECK(record["entries"][0]["event"] == "freeze.removed");
    CHECK(record["entries"][0]["removed"] == true);
    CHECK(record["entries"][0]["row"]["target"] == "bad");
}

TEST_CASE("The chain is SHA-256 over the previous link and the record") {
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(next_chain("", "abc") == sha256_hex("abc"));
    CHECK(next_chain("ab", "c") == sha256_hex("abc"));
    CHECK(next_chain(sha256_hex("a"), "b") != next_chain(sha256_hex("b"), "b"));
}

TEST_CASE("A batch's topics are those of its leases' hosts and its jobs, and the journal") {
    World world;
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    const HostId host = world.host(seller);
    world.listing(host);
    const auto placed = world.place(renter, an_order().job());
    CHECK(topics_of(world.last_entries()) ==
          std::vector<std::string>{"host/" + host.text(), "job/" + placed.job->id.text(), "journal"});
}

TEST_CASE("A receipt is made when a lease ends, and only then") {
    World world;
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    world.listing(world.host(seller));
    const auto sign = [](const std::string&) { return std::string("signature"); };
    const LeaseId lease = world.rent(renter, an_order().job());
    world.run(lease);
    world.pass(minutes(6));
    world.state_usage(lease, minutes(6));
    world.exited(lease, 0);
    CHECK(receipts_of(world.last_entries(), "key", sign).empty());
    world.reported(lease, market::AgentPhase::gone);
    const auto receipts = receipts_of(world.last_entries(), "key", sign);
    REQUIRE(receipts.size() == 1);
    CHECK(receipts[0].server_signature == "signature");
    CHECK(receipts[0].renter == renter);
    CHECK(receipts[0].seller == seller);
    CHECK(receipts[0].statement.find(
              "segment: 1000000 360000\nrunning_ms: 360000\ncharged_micros: 100000\n") !=
          std::string::npos);
    CHECK(receipts[0].statement.find("usage_sha256: a-hash\nsigners: server+host\n") != std::string::npos);
}

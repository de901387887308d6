// A replica is told nothing but the journal, and must hold what the leader holds.
#include "engine/replica.hpp"

#include <nlohmann/json.hpp>

#include "engine/journal.hpp"
#include "support/market_walk.hpp"
#include "support/state_text.hpp"

using namespace fallow;
using namespace fallow::engine;
using namespace fallow::testing;

namespace {

/// Writes the records that a leader would.
class Scribe {
  public:
    JournalRecord record(const std::vector<market::Entry>& entries) {
        return record(journal_text(entries));
    }
    JournalRecord record(const std::string& text) {
        ++position_.sequence;
        position_.chain_hex = next_chain(position_.chain_hex, text);
        return {"main", position_.sequence, 1, Time(position_.sequence), text, position_.chain_hex};
    }

  private:
    JournalPosition position_;
};

}  // namespace

TEST_CASE("A replica that reads every record has the leader's rows and indexes") {
    for (std::uint64_t seed = 1; seed <= 4; ++seed) {
        Walk walk(seed, 0);
        World& world = walk.world();
        Replica replica(world.state(), {});
        Scribe scribe;
        std::vector<market::Entry> batch;
        world.on_decided([&](const market::Command&, const market::Caller&, std::uint64_t) {
            batch.insert(batch.end(), world.last_entries().begin(), world.last_entries().end());
        });
        for (int i = 0; i < 600; ++i) {
            walk.step();
            // A batch of one command, of a few, and now and then of none.
            if (i % 7 < 3) continue;
            static_cast<void>(replica.apply(scribe.record(batch)));
            batch.clear();
            INFO("seed " << seed << ", step " << i);
            REQUIRE(difference(replica.state(), world.state()) == "");
        }
        CHECK(replica.position().sequence > 300);
        CHECK(index_errors(replica.state()) == "");
    }
}

TEST_CASE("A replica wakes whom the leader wakes") {
    World world;
    const auto seller = world.organization("seller");
    const auto renter = world.rich("renter");
    const HostId host = world.host(seller);
    world.listing(host);
    Replica replica(world.state(), {});
    Scribe scribe;
    world.place(renter, an_order().job());
    CHECK(replica.apply(scribe.record(world.last_entries())) == topics_of(world.last_entries()));
}

TEST_CASE("A removed row leaves the replica") {
    World world;
    Replica replica(world.state(), {});
    Scribe scribe;
    const auto freeze = world.must<market::Freeze>(
        market::CreateFreeze{market::FreezeKind::image, "bad", "why"}, World::admin());
    static_cast<void>(replica.apply(scribe.record(world.last_entries())));
    CHECK(replica.state().is_frozen(market::FreezeKind::image, "bad"));
    world.must<Done>(market::RemoveFreeze{freeze.id}, World::admin());
    static_cast<void>(replica.apply(scribe.record(world.last_entries())));
    CHECK(difference(replica.state(), world.state()) == "");
}

TEST_CASE("A record that a replica cannot follow is refused") {
    World world;
    const auto apply = [&](const JournalRecord& record) {
        Replica replica(world.state(), {});
        static_cast<void>(replica.apply(record));
    };
    const std::string empty = R"({"v":2,"entries":[],"rows":[],"derived":[]})";
    CHECK_NOTHROW(apply(Scribe().record(empty)));
    // One is missing; one was edited after it was hashed.
    Scribe scribe;
    static_cast<void>(scribe.record(empty));
    CHECK_THROWS_AS(apply(scribe.record(empty)), JournalBroken);
    JournalRecord edited = Scribe().record(empty);
    edited.record += ' ';
    CHECK_THROWS_AS(apply(edited), JournalBroken);
    for (const char* text : {
             "",
             "{",
             R"({"v":2})",
             // Of an older server, which told of events alone.
             R"({"v":1,"entries":[]})",
             R"({"v":2,"entries":[{"t":"hosts","row":{}}],"rows":[],"derived":[]})",
             R"({"v":2,"entries":[],"rows":[{"t":"hosts","row":{"id":"host_3"}}],"derived":[]})",
             // A column of a card that nobody has told of.
             R"({"v":2,"entries":[],"rows":[],)"
             R"("derived":[{"t":"cards","row":{"id":"card_00000000000000000000000003","used":1}}]})",
         }) {
        INFO(text);
        CHECK_THROWS_AS(apply(Scribe().record(text)), JournalBroken);
    }
}

TEST_CASE("Rows and columns that a replica does not know are passed over") {
    World world;
    const auto seller = world.organization("seller");
    Replica replica(world.state(), {});
    nlohmann::json row = {{"id", seller.text()}, {"status", "frozen"}, {"of_a_later_version", 1}};
    const nlohmann::json record = {
        {"v", 2},
        {"entries",
         {{{"t", "of_a_later_version"}, {"row", {{"id", 1}}}}, {{"t", "organizations"}, {"row", row}}}},
        {"rows", nlohmann::json::array()},
        {"derived", nlohmann::json::array()}};
    static_cast<void>(replica.apply(Scribe().record(record.dump())));
    const auto& known = replica.state().at<market::Organization>(seller);
    CHECK(known.status == market::OrganizationStatus::frozen);
    CHECK(known.name == "seller");
}

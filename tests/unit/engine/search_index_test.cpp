// The search index of a server: the same whether it follows or leads, and never ahead of the journal.
#include "engine/search_index.hpp"

#include "engine/journal.hpp"
#include "engine/replica.hpp"
#include "support/market_walk.hpp"

using namespace fallow;
using namespace fallow::engine;
using namespace fallow::testing;

namespace {

std::string text_of(SearchIndex& index) {
    return index.read([](const market::search::Index& inside) { return inside.text(); });
}

}  // namespace

TEST_CASE("What a follower applies from the journal is what the leader applies from its batches") {
    Walk walk(21, 0);
    World& world = walk.world();
    SearchIndex leading(world.state().rules());
    SearchIndex following(world.state().rules());
    Replica replica(state_of(world.database().load(), world.state().rules()), {1, {}, world.now()});
    leading.reset(world.state(), 1);
    following.reset(replica.state(), 1);
    std::string chain;
    std::int64_t sequence = 1;
    world.on_decided([&](const market::Command&, const market::Caller&, std::uint64_t) {
        std::vector<CommittedRow> rows;
        for (const market::Entry& entry : world.last_entries()) {
            const market::AnyRow& row = entry.after ? *entry.after : *entry.before;
            if (market::search::is_indexed(row)) rows.push_back({row, !entry.after});
        }
        ++sequence;
        leading.apply(sequence, std::move(rows));
        const std::string record = journal_text(world.last_entries());
        chain = next_chain(chain, record);
        static_cast<void>(replica.apply({"main", sequence, 1, world.now(), record, chain}));
        following.apply(sequence, replica.take_changed());
    });
    for (int i = 0; i < 600; ++i) {
        walk.step();
        if (i % 50 != 0) continue;
        INFO("step " << i);
        CHECK(text_of(leading) == text_of(following));
        CHECK(text_of(leading) == market::search::Index(world.state(), sequence).text());
        CHECK(leading.sequence() == sequence);
    }
}

TEST_CASE(
    "A record that is missing empties the index until it is made anew, and an old one changes nothing") {
    World world;
    const OrganizationId seller = world.organization("seller");
    world.listing(world.host(seller), a_listing());
    SearchIndex index(world.state().rules());
    CHECK_FALSE(index.is_loaded());
    index.apply(3, {});
    CHECK_FALSE(index.is_loaded());
    index.reset(world.state(), 5);
    CHECK(index.is_loaded());
    const std::string before = text_of(index);
    CHECK_FALSE(before.empty());
    index.apply(4, {{market::AnyRow(market::Organization{}), false}});
    index.apply(6, {});
    CHECK(index.sequence() == 6);
    CHECK(text_of(index) == before);
    index.apply(8, {});
    CHECK_FALSE(index.is_loaded());
    index.reset(world.state(), 8);
    CHECK(text_of(index) == before);
}

TEST_CASE("The first record of a new market is taken") {
    World world;
    SearchIndex index(world.state().rules());
    index.reset(world.state(), 0);
    const OrganizationId seller = world.organization("seller");
    world.listing(world.host(seller), a_listing());
    std::vector<CommittedRow> rows;
    const auto add = [&]<class Row>(const market::Table<Row>& table) {
        for (const auto& [id, row] : table)
            rows.push_back({market::AnyRow(row), false});
    };
    add(world.state().table<market::Organization>());
    add(world.state().table<market::Host>());
    add(world.state().table<market::Card>());
    add(world.state().table<market::Listing>());
    index.apply(1, std::move(rows));
    CHECK(index.is_loaded());
    CHECK(text_of(index) == market::search::Index(world.state(), 1).text());
    CHECK_FALSE(text_of(index).empty());
}

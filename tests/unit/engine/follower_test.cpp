// A follower against a source that the test writes: what it takes for the leader, how it keeps up, when it
// begins anew, what it hands over.
#include "engine/follower.hpp"

#include "engine/journal.hpp"
#include "support/market_world.hpp"
#include "support/state_text.hpp"

using namespace fallow;
using namespace fallow::engine;
using namespace fallow::testing;

namespace {

/// The database of a leader whose market the test drives.
class Source : public JournalSource {
  public:
    LeaderRow leader(const std::string&) override { return row; }
    std::vector<JournalRecord> read(const std::string&, std::int64_t sequence,
                                    std::int64_t count) override {
        if (fails) throw std::runtime_error("the database is out of reach");
        ++reads;
        std::vector<JournalRecord> found;
        for (const JournalRecord& record : journal)
            if (record.sequence > sequence && std::ssize(found) < count) found.push_back(record);
        return found;
    }
    LoadedMarket load(const std::string&) override {
        ++loads;
        LoadedMarket loaded = world.database().load();
        loaded.position = {row.sequence, chain, Time(row.sequence)};
        return loaded;
    }
    void reconnect() override {}

    /// What the last command did, as one record.
    void commit() {
        const std::string text = journal_text(world.last_entries());
        chain = next_chain(chain, text);
        journal.push_back({"main", ++row.sequence, row.epoch, Time(row.sequence), text, chain});
    }
    [[nodiscard]] Leadership leadership() const {
        return {row.epoch, row.sequence, chain, Time(row.sequence)};
    }

    World world;
    LeaderRow row{"leader", "leader:1", 3, 0, Millis(100), 0};
    std::vector<JournalRecord> journal;
    std::string chain;
    int loads = 0;
    int reads = 0;
    bool fails = false;
};

class Following {
  public:
    Following() : follower(config(), deps()) {}

    static FollowerConfig config() {
        FollowerConfig config;
        config.holder = "this";
        config.records_per_read = 2;
        config.lag_max = 10;
        return config;
    }
    FollowerDeps deps() {
        return {source, [this](const std::string& topic) { told += topic + ' '; },
                [this] { told += "all "; }, [this] { return now; },
                [this](const std::string&, const std::string& message) { log += message + '\n'; }};
    }
    void organizations(int count) {
        for (int i = 0; i < count; ++i) {
            source.world.organization("organization " + std::to_string(++made));
            source.commit();
        }
    }
    std::string take_told() { return std::exchange(told, {}); }

    Source source;
    Time now{1'000'000};
    std::string told;
    std::string log;
    int made = 0;
    Follower follower;
};

}  // namespace

TEST_CASE("A follower reads the market once, then its journal in bounded parts") {
    Following on;
    on.organizations(3);
    CHECK_FALSE(on.follower.look().has_more);
    CHECK(on.take_told() == "all ");
    CHECK(on.follower.sequence() == 3);
    on.organizations(3);
    CHECK(on.follower.look().has_more);
    CHECK(on.follower.sequence() == 5);
    CHECK(on.take_told() == "journal journal ");
    CHECK_FALSE(on.follower.look().has_more);
    CHECK_FALSE(on.follower.look().has_more);
    CHECK(on.source.loads == 1);
    CHECK(on.source.reads == 2);
    const auto state = on.follower.take(on.source.leadership());
    REQUIRE(state);
    CHECK(difference(*state, on.source.world.state()) == "");
}

TEST_CASE("What is taken over has the journal's last records, too") {
    Following on;
    static_cast<void>(on.follower.look());
    on.organizations(5);
    const auto state = on.follower.take(on.source.leadership());
    REQUIRE(state);
    CHECK(difference(*state, on.source.world.state()) == "");
    CHECK(on.source.loads == 1);
    CHECK_FALSE(on.follower.take(on.source.leadership()));  // it was handed over once
}

TEST_CASE("A market that cannot be vouched for is not handed over") {
    Following on;
    CHECK_FALSE(on.follower.take(on.source.leadership()));  // nothing was followed yet
    SECTION("the journal ends before the leader row") {
        static_cast<void>(on.follower.look());
        Leadership ahead = on.source.leadership();
        ahead.sequence += 1;
        CHECK_FALSE(on.follower.take(ahead));
    }
    SECTION("the chain is another") {
        static_cast<void>(on.follower.look());
        Leadership other = on.source.leadership();
        other.chain_hex = "other";
        CHECK_FALSE(on.follower.take(other));
    }
    SECTION("the journal cannot be read") {
        static_cast<void>(on.follower.look());
        on.organizations(1);
        on.source.fails = true;
        CHECK_FALSE(on.follower.take(on.source.leadership()));
    }
    CHECK(on.follower.sequence() == 0);
}

TEST_CASE("A follower that is too far behind, or cannot read on, reads the market anew") {
    Following on;
    static_cast<void>(on.follower.look());
    on.organizations(11);
    SECTION("too far") {}
    SECTION("a record is missing") {
        on.source.journal.erase(on.source.journal.begin());
    }
    SECTION("all of them are") {
        on.source.journal.clear();
    }
    SECTION("a record was edited") {
        on.source.row.sequence = 5;
        on.source.journal[1].record += ' ';
    }
    static_cast<void>(on.follower.look());
    CHECK(on.follower.sequence() == 0);
    CHECK(on.log != "");
    on.take_told();
    // Not again and again, if it does not help.
    static_cast<void>(on.follower.look());
    CHECK(on.source.loads == 1);
    on.now = on.now + seconds(1);
    static_cast<void>(on.follower.look());
    CHECK(on.source.loads == 2);
    CHECK(on.follower.sequence() == on.source.row.sequence);
    CHECK(on.take_told() == "all ");
}

TEST_CASE("The leader is who held the row with a fresh beat at a look just now") {
    struct Row {
        const char* what;
        LeaderRow row;
        Millis later;
        bool is_known, is_free, is_own;
    };
    const Row rows[] = {
        {"another", {"leader", "leader:1", 3, 0, Millis(1500), 0}, {}, true, false, false},
        {"another, silent", {"leader", "leader:1", 3, 0, Millis(1501), 0}, {}, false, true, false},
        {"nobody", {"", "", 3, 0, Millis(0), 0}, {}, false, true, false},
        {"this", {"this", "this:1", 3, 0, Millis(0), 0}, {}, true, false, true},
        {"looked at two seconds ago", {"leader", "", 3, 0, Millis(0), 0}, seconds(2), true, false, false},
        {"looked at before that", {"leader", "", 3, 0, Millis(0), 0}, Millis(2001), false, false, false},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        Following on;
        on.source.row = row.row;
        const Looked looked = on.follower.look();
        CHECK(looked.is_free == row.is_free);
        CHECK(looked.is_own == row.is_own);
        on.now = on.now + row.later;
        const auto leader = on.follower.leader();
        CHECK(leader.has_value() == row.is_known);
        if (leader) {
            CHECK(leader->address == row.row.address);
            CHECK(leader->epoch == 3);
            CHECK(leader->is_self == row.is_own);
        }
    }
    CHECK_FALSE(Following().follower.leader());
}

TEST_CASE("Nothing is read while the row is free or this server's own, and a warm market is kept") {
    Following on;
    on.source.row.holder = "";
    static_cast<void>(on.follower.look());
    CHECK(on.source.loads == 0);
    on.source.row.holder = "leader";
    static_cast<void>(on.follower.look());
    CHECK(on.source.loads == 1);
    on.source.row.beat_age = seconds(9);
    on.organizations(1);
    static_cast<void>(on.follower.look());
    CHECK(on.follower.sequence() == 1);  // the tail of a leader that has died
    // Between taking the row and taking the market there may be a look.
    on.source.row.holder = "this";
    static_cast<void>(on.follower.look());
    CHECK(on.follower.take(on.source.leadership()));
    CHECK(on.follower.sequence() == 0);
    CHECK(on.source.loads == 1);
}

TEST_CASE("What is not market wakes the journal's readers, too") {
    Following on;
    static_cast<void>(on.follower.look());
    on.take_told();
    on.source.row.accounts_sequence = 1;
    static_cast<void>(on.follower.look());
    CHECK(on.take_told() == "journal ");
    static_cast<void>(on.follower.look());
    CHECK(on.take_told() == "");
}

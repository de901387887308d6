// The single writer: nobody is told before the commit, and nothing is told twice.
#include "engine_fixture.hpp"

using namespace fallow;
using namespace fallow::testing;
using market::Deposit;

namespace {

market::Caller caller(std::uint64_t organization) {
    return World::by(OrganizationId(RawId{8, organization}));
}

std::string first_word(const Answer& answer) {
    return answer.body.substr(0, answer.body.find(' '));
}

}  // namespace

TEST_CASE("A reply comes after its commit, and replies come in the order of the commands") {
    EngineFixture fixture;
    fixture.start();
    fixture.database.hold();
    Call a = fixture.submit(EngineFixture::new_organization("a"));
    REQUIRE(fixture.database.wait_for_commits(1));
    Call b = fixture.submit(EngineFixture::new_organization("b"));
    Call taken = fixture.submit(EngineFixture::new_organization("b"));
    Call c = fixture.submit(EngineFixture::new_organization("c"));
    c.wait_decided();
    CHECK_FALSE(a.is_answered());
    CHECK_FALSE(taken.is_answered());

    fixture.database.let(1);
    CHECK(first_word(a.answer()) == "a");
    REQUIRE(fixture.database.wait_for_commits(2));
    // The refusal was derived from what is not committed yet: it waits as well.
    CHECK_FALSE(b.is_answered());
    CHECK_FALSE(taken.is_answered());
    fixture.database.release();
    CHECK(first_word(c.answer()) == "c");
    CHECK(fixture.order() ==
          a.answer().body + '\n' + b.answer().body + "\nname_taken\n" + c.answer().body + '\n');
    CHECK(fixture.created() == "a b c ");
    CHECK(fixture.database.journal().size() == 2);
}

TEST_CASE("While a batch commits, the next is decided on top of it") {
    EngineFixture fixture;
    fixture.start();
    fixture.database.hold();
    Call a = fixture.submit(EngineFixture::new_organization("same"));
    REQUIRE(fixture.database.wait_for_commits(1));
    Call b = fixture.submit(EngineFixture::new_organization("same"));
    b.wait_decided();
    CHECK(fixture.database.journal().empty());
    CHECK_FALSE(a.is_answered());
    fixture.database.release();
    CHECK(a.answer().status == 201);
    CHECK(b.answer().body == "name_taken");
}

TEST_CASE("A twin gets the same bytes, in the same batch, in flight and later; another body is refused") {
    EngineFixture fixture;
    fixture.start();
    const auto create = EngineFixture::new_organization("one");
    fixture.database.hold();
    Call blocker = fixture.submit(EngineFixture::new_organization("blocker"));
    REQUIRE(fixture.database.wait_for_commits(1));
    Call first = fixture.submit(create, caller(1), "key-1");
    Call same_batch = fixture.submit(create, caller(1), "key-1");
    Call other_body = fixture.submit(create, caller(1), "key-1", "another body");
    other_body.wait_decided();
    fixture.database.let(1);
    CHECK(blocker.answer().status == 201);
    REQUIRE(fixture.database.wait_for_commits(2));
    Call in_flight = fixture.submit(create, caller(1), "key-1");
    Call marker = fixture.submit(EngineFixture::new_organization("marker"));
    marker.wait_decided();
    CHECK_FALSE(in_flight.is_answered());
    fixture.database.release();

    const Answer answer = first.answer();
    CHECK(answer.status == 201);
    CHECK_FALSE(answer.replayed);
    CHECK(same_batch.answer() == Answer{201, answer.body, true});
    CHECK(in_flight.answer() == Answer{201, answer.body, true});
    CHECK(other_body.answer() == Answer{422, "idempotency_key_reused", false});
    CHECK(marker.answer().status == 201);
    CHECK(fixture.submit(create, caller(1), "key-1").answer() == Answer{201, answer.body, true});
    CHECK(fixture.submit(create, caller(2), "key-1").answer().body == "name_taken");
    CHECK(fixture.created() == "blocker one marker ");
    CHECK(fixture.database.keys().size() == 2);
}

TEST_CASE("A refusal is kept for twins as well") {
    EngineFixture fixture;
    fixture.start();
    CHECK(fixture.submit(EngineFixture::new_organization("a")).answer().status == 201);
    CHECK(fixture.submit(EngineFixture::new_organization("a"), caller(1), "k").answer().body ==
          "name_taken");
    CHECK(fixture.submit(EngineFixture::new_organization("other"), caller(1), "k").answer() ==
          Answer{409, "name_taken", true});
}

TEST_CASE("Keys of the last minutes survive the leader") {
    EngineFixture fixture;
    fixture.start();
    const Answer first = fixture.submit(EngineFixture::new_organization("a"), caller(1), "k").answer();
    fixture.stop();
    fixture.start();
    CHECK(fixture.submit(EngineFixture::new_organization("a"), caller(1), "k").answer() ==
          Answer{201, first.body, true});
}

TEST_CASE("A poisoned command is isolated; the others commit, in their order") {
    EngineFixture fixture;
    fixture.start();
    fixture.database.refuse([](const market::Changes& changes) {
        for (const market::Organization& row : changes.organizations.inserts)
            if (row.name.starts_with("poison")) return true;
        return false;
    });
    fixture.database.hold();
    std::vector<Call> calls;
    calls.push_back(fixture.submit(EngineFixture::new_organization("blocker")));
    REQUIRE(fixture.database.wait_for_commits(1));
    for (const char* name : {"a", "b", "poison 1", "c", "d", "e", "poison 2", "f", "g"})
        calls.push_back(fixture.submit(EngineFixture::new_organization(name), caller(1), name));
    calls.back().wait_decided();
    fixture.database.release();
    std::string answers;
    for (Call& call : calls)
        answers += first_word(call.answer()) + ' ';
    CHECK(answers == "blocker a b quarantined c d e quarantined f g ");
    CHECK(calls[3].answer().status == 500);
    CHECK(fixture.created() == "blocker a b c d e f g ");
    CHECK(fixture.engine().stats().quarantined == 2);
    CHECK(fixture.log().find("set aside") != std::string::npos);

    // A 500 is never stored: the same key is decided anew once the database allows it.
    fixture.database.refuse({});
    const Answer again =
        fixture.submit(EngineFixture::new_organization("poison 1"), caller(1), "poison 1").answer();
    CHECK(again.status == 201);
    CHECK_FALSE(again.replayed);
}

TEST_CASE("Twins of a poisoned command are both refused") {
    EngineFixture fixture;
    fixture.start();
    fixture.database.refuse(
        [](const market::Changes& changes) { return !changes.organizations.inserts.empty(); });
    fixture.database.hold();
    Call first = fixture.submit(EngineFixture::new_organization("a"), caller(1), "k");
    REQUIRE(fixture.database.wait_for_commits(1));
    Call second = fixture.submit(EngineFixture::new_organization("a"), caller(1), "k");
    Call marker = fixture.submit(Deposit{OrganizationId(RawId{5, 5}), usd(1), ""});
    marker.wait_decided();
    fixture.database.release();
    CHECK(first.answer().body == "quarantined");
    CHECK(second.answer().body == "quarantined");
    CHECK(fixture.database.keys().empty());
}

TEST_CASE("A commit that failed is repeated, with what was decided on top of it") {
    EngineFixture fixture;
    fixture.start();
    fixture.database.script({Fate::failed, Fate::failed});
    fixture.database.hold();
    Call a = fixture.submit(EngineFixture::new_organization("a"), caller(1), "k");
    REQUIRE(fixture.database.wait_for_commits(1));
    Call twin = fixture.submit(EngineFixture::new_organization("a"), caller(1), "k");
    Call b = fixture.submit(EngineFixture::new_organization("b"));
    b.wait_decided();
    fixture.database.release();
    CHECK(a.answer().status == 201);
    CHECK(twin.answer() == Answer{201, a.answer().body, true});
    CHECK(b.answer().status == 201);
    CHECK(fixture.created() == "a b ");
    CHECK(fixture.database.reconnects() >= 2);
}

TEST_CASE("An unknown outcome is resolved from the journal") {
    EngineFixture fixture;
    fixture.start();
    SECTION("it was committed") {
        fixture.database.script({Fate::lost_after});
    }
    SECTION("it was not") {
        fixture.database.script({Fate::lost_before});
    }
    SECTION("it was committed, and the database is away for a while") {
        fixture.database.script({Fate::lost_after});
        fixture.database.fail_reconnects(2);
    }
    SECTION("again and again") {
        fixture.database.script({Fate::lost_before, Fate::lost_before, Fate::failed, Fate::lost_after});
    }
    CHECK(fixture.submit(EngineFixture::new_organization("a")).answer().status == 201);
    CHECK(fixture.submit(EngineFixture::new_organization("b")).answer().status == 201);
    CHECK(fixture.created() == "a b ");
    CHECK(fixture.database.journal().size() == 2);
}

TEST_CASE("A leader that was overtaken refuses what waits, reads the market again and goes on") {
    EngineFixture fixture;
    fixture.start();
    CHECK(fixture.submit(EngineFixture::new_organization("before")).answer().status == 201);
    const std::int64_t epoch = fixture.engine().stats().epoch;
    SECTION("it finds out at a commit") {
        fixture.database.hold();
        Call a = fixture.submit(EngineFixture::new_organization("a"), caller(1), "k");
        REQUIRE(fixture.database.wait_for_commits(2));
        Call b = fixture.submit(EngineFixture::new_organization("b"));
        b.wait_decided();
        fixture.database.usurp();
        fixture.database.release();
        CHECK(a.answer() == Answer{503, "not_leader", false});
        CHECK(b.answer() == Answer{503, "not_leader", false});
        CHECK(fixture.database.keys().empty());
    }
    SECTION("it finds out at a beat") {
        fixture.database.usurp();
    }
    SECTION("the market cannot be read at first") {
        fixture.database.usurp();
        fixture.database.fail_loads(1);
    }
    SECTION("the database is out of reach at first") {
        fixture.database.usurp();
        fixture.database.fail_reconnects(1);
    }
    fixture.database.usurper_dies();
    // Refused until the market is read again; then a name that was taken before still is.
    const auto give_up_at = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (true) {
        REQUIRE(std::chrono::steady_clock::now() < give_up_at);
        Call call;
        const bool leads_again = fixture.engine().stats().epoch > epoch;
        const Status queued =
            fixture.try_submit(EngineFixture::new_organization("before"), World::admin(), {}, {}, call);
        if (!queued) {
            REQUIRE(queued.error().code == ErrorCode::not_leader);
            std::this_thread::yield();
            continue;
        }
        if (call.answer().body == "not_leader") continue;
        CHECK(call.answer().body == "name_taken");
        if (leads_again) break;
    }
    CHECK(fixture.submit(EngineFixture::new_organization("after")).answer().status == 201);
    CHECK(fixture.database.holder() == "this");
    CHECK(fixture.created() == "before after ");
}

TEST_CASE("A second replica waits for the row and takes over at a clean stop") {
    EngineFixture fixture;
    fixture.start();
    CHECK(fixture.submit(EngineFixture::new_organization("a")).answer().status == 201);
    fixture.stop();
    CHECK(fixture.database.holder().empty());
    fixture.start();
    CHECK(fixture.submit(EngineFixture::new_organization("a")).answer().body == "name_taken");
    CHECK(fixture.engine().stats().epoch == 2);
}

TEST_CASE("A full queue refuses at once") {
    EngineFixture fixture;
    fixture.config.queue_max = 3;
    fixture.config.batch_max = 2;
    fixture.start();
    fixture.database.hold();
    std::vector<Call> calls;
    calls.push_back(fixture.submit(EngineFixture::new_organization("in flight")));
    REQUIRE(fixture.database.wait_for_commits(1));
    for (const char* name : {"a", "b"})
        calls.push_back(fixture.submit(EngineFixture::new_organization(name)));
    calls.back().wait_decided();
    // The growing batch is full: these stay in the queue.
    for (const char* name : {"c", "d", "e"})
        calls.push_back(fixture.submit(EngineFixture::new_organization(name)));
    Call refused;
    const Status status =
        fixture.try_submit(EngineFixture::new_organization("f"), World::admin(), {}, {}, refused);
    REQUIRE_FALSE(status);
    CHECK(status.error().code == ErrorCode::queue_full);
    CHECK(fixture.engine().stats().queue_depth == 3);
    fixture.database.release();
    for (Call& call : calls)
        CHECK(call.answer().status == 201);
    CHECK(fixture.created() == "in flight a b c d e ");
}

TEST_CASE("stop() decides and commits what is queued, and refuses what comes after") {
    EngineFixture fixture;
    fixture.config.batch_max = 1;
    fixture.start();
    fixture.database.hold();
    std::vector<Call> calls;
    for (const char* name : {"a", "b", "c"})
        calls.push_back(fixture.submit(EngineFixture::new_organization(name)));
    REQUIRE(fixture.database.wait_for_commits(1));
    std::thread stopper([&] { fixture.engine().stop(); });
    Call late;
    while (true) {
        const Status status =
            fixture.try_submit(EngineFixture::new_organization("late"), World::admin(), {}, {}, late);
        if (!status) {
            CHECK(status.error().code == ErrorCode::draining);
            break;
        }
        calls.push_back(late);
        late = Call();
    }
    fixture.database.release();
    stopper.join();
    for (Call& call : calls)
        CHECK(call.is_answered());
    CHECK(calls[2].answer().status == 201);
    CHECK(fixture.database.holder().empty());
}

TEST_CASE("stop() does not wait for a database that fails") {
    EngineFixture fixture;
    fixture.start();
    fixture.database.script(std::vector<Fate>(50, Fate::failed));
    fixture.database.hold();
    Call a = fixture.submit(EngineFixture::new_organization("a"));
    REQUIRE(fixture.database.wait_for_commits(1));
    Call b = fixture.submit(EngineFixture::new_organization("b"));
    b.wait_decided();
    std::thread stopper([&] { fixture.engine().stop(); });
    Call late;
    while (fixture.try_submit(EngineFixture::new_organization("late"), World::admin(), {}, {}, late))
        late = Call();
    fixture.database.release();
    stopper.join();
    CHECK(a.answer() == Answer{503, "draining", false});
    CHECK(b.answer() == Answer{503, "draining", false});
}

TEST_CASE("stop() during a take-over ends it") {
    EngineFixture fixture;
    fixture.start();
    fixture.database.usurp();
    Call call;
    while (fixture.try_submit(EngineFixture::new_organization("a"), World::admin(), {}, {}, call))
        call = Call();
    fixture.stop();
    CHECK(fixture.database.holder() == "another");
}

TEST_CASE("start() ends when it is stopped while another leads") {
    EngineFixture fixture;
    fixture.database.usurp();
    FakeStore store(fixture.database);
    FakeStore beats(fixture.database);
    engine::EngineDeps real{store, beats, {}, [] { return Time(1); }, [] { return RawId{1, 1}; }, {},
                            {},    {},    {}};
    engine::Engine engine(fixture.config, std::move(real));
    std::promise<void> ended;
    std::thread starter([&] {
        CHECK_THROWS(engine.start());
        ended.set_value();
    });
    engine.stop();
    starter.join();
    CHECK(ended.get_future().wait_for(std::chrono::seconds(0)) == std::future_status::ready);
}

TEST_CASE("A caller may submit from its own answer") {
    EngineFixture fixture;
    fixture.start();
    Call second;
    std::atomic<bool> is_first{true};
    fixture.on_done = [&](const engine::Reply&) {
        if (!is_first.exchange(false)) return;
        CHECK(fixture.engine().stats().epoch == 1);
        CHECK(
            fixture.try_submit(EngineFixture::new_organization("second"), World::admin(), {}, {}, second));
    };
    SECTION("after a commit") {
        CHECK(fixture.submit(EngineFixture::new_organization("first")).answer().status == 201);
    }
    SECTION("after a quarantine") {
        fixture.database.refuse([](const market::Changes& changes) {
            return !changes.organizations.inserts.empty() &&
                   changes.organizations.inserts[0].name == "first";
        });
        CHECK(fixture.submit(EngineFixture::new_organization("first")).answer().status == 500);
    }
    CHECK(second.answer().status == 201);
}

TEST_CASE("The epoch is confirmed for a while only") {
    EngineFixture fixture;
    fixture.config.confirmed_within = seconds(2);
    fixture.start();
    CHECK(fixture.engine().confirmed_epoch() == 1);
    CHECK(fixture.engine().ready());
    fixture.database.silence_beats(true);
    // A beat may be under way with the old time: the clock moves far enough for any.
    fixture.pass(seconds(3));
    CHECK_FALSE(fixture.engine().confirmed_epoch());
    CHECK_FALSE(fixture.engine().ready());
    fixture.database.silence_beats(false);
    while (!fixture.engine().confirmed_epoch())
        std::this_thread::yield();
    CHECK(fixture.engine().confirmed_epoch() == 1);
}

TEST_CASE("Decisions never go back in time, not even after a take-over") {
    EngineFixture fixture;
    fixture.start();
    CHECK(fixture.submit(EngineFixture::new_organization("a")).answer().status == 201);
    const Time first = fixture.database.journal().back().at;
    fixture.stop();
    fixture.pass(Millis(-50'000));
    fixture.start();
    CHECK(fixture.submit(EngineFixture::new_organization("b")).answer().status == 201);
    CHECK(fixture.database.journal().back().at == first);
}

// The heartbeat and the long-poll take turns on one connection. What depends on the time is asked far away
// from it.
#include "agent/link_turns.hpp"

#include <catch2/catch.hpp>
#include <thread>

#include "agent/clock.hpp"

using namespace fallow::agent;

namespace {

constexpr std::int64_t hour_ms = 3'600'000;
constexpr std::int64_t most_ms = 20'000;

std::stop_token stopped() {
    std::stop_source source;
    source.request_stop();
    return source.get_token();
}

}  // namespace

TEST_CASE(
    "a long-poll lasts as long as it may while the next heartbeat is far off, and not at all when it is "
    "due") {
    LinkTurns turns;
    CHECK(turns.poll_ms(most_ms, stopped()) == 0);  // the first heartbeat is due
    turns.beaten(boot_clock_ms() + hour_ms, true);
    CHECK(turns.poll_ms(most_ms, {}) == most_ms);
    const std::int64_t until_it = turns.poll_ms(2 * hour_ms, {});
    CHECK(until_it > 0);
    CHECK(until_it < hour_ms);  // it ends before the heartbeat
    turns.beaten(boot_clock_ms(), true);
    CHECK(turns.poll_ms(most_ms, stopped()) == 0);
}

TEST_CASE("contact is a heartbeat that was acknowledged, and no other") {
    LinkTurns turns;
    CHECK(turns.acknowledged() == 0);
    turns.beaten(hour_ms, false);
    CHECK(turns.acknowledged() == 0);
    turns.beaten(hour_ms, true);
    CHECK(turns.acknowledged() == 1);
    turns.wait_for_contact(0, {});         // it was before it was waited for
    turns.wait_for_contact(1, stopped());  // nobody waits for the end of the agent
    std::jthread poll([&](const std::stop_token& stop) { turns.wait_for_contact(1, stop); });
    turns.beaten(hour_ms, false);
    turns.beaten(hour_ms, true);
    poll.join();
    CHECK(turns.acknowledged() == 2);
}

TEST_CASE("a heartbeat has the connection when nobody polls, and goes without it when a reply is late") {
    LinkTurns turns;
    CHECK(turns.take_soon().owns_lock());
    const LinkTurns::Turn poll = turns.take();
    CHECK(poll.owns_lock());
    bool has_it = true;
    std::thread heartbeat([&] { has_it = turns.take_soon().owns_lock(); });
    heartbeat.join();
    CHECK_FALSE(has_it);
}

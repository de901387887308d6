// The rule of backfill against its promises: never more cards than there are, nobody later than promised,
// and nobody later than in strict order.
#include "market/placement/timetable.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <random>

namespace fallow::market::placement {
namespace {

struct Case {
    std::int64_t cards = 0;
    std::vector<Running> running;
    std::vector<Waiting> waiting;
};

Case random_case(std::mt19937_64& random) {
    const auto below = [&](std::uint64_t end) { return static_cast<std::int64_t>(random() % end); };
    Case made{4 + below(12), {}, {}};
    std::int64_t free = made.cards;
    while (free > 0 && below(4) > 0) {
        made.running.push_back({1 + below(static_cast<std::uint64_t>(free)), Time(1 + below(50))});
        free -= made.running.back().cards;
    }
    for (std::int64_t i = below(12); i > 0; --i)
        made.waiting.push_back(
            {1 + below(static_cast<std::uint64_t>(made.cards)), Millis(1 + below(40)), {}});
    return made;
}

std::int64_t in_use(const Case& of, const std::vector<Time>& starts, std::size_t among, Time when) {
    std::int64_t used = 0;
    for (const Running& each : of.running)
        if (when < each.end) used += each.cards;
    for (std::size_t i = 0; i < among; ++i)
        if (starts[i] <= when && when < starts[i] + of.waiting[i].term) used += of.waiting[i].cards;
    return used;
}

bool may_start(const Case& of, const std::vector<Time>& starts, std::size_t which, Time start) {
    for (Time when = start; when < start + of.waiting[which].term; when = when + Millis(1))
        if (in_use(of, starts, which, when) + of.waiting[which].cards > of.cards) return false;
    return true;
}

TEST_CASE("each start is the earliest beside all before it") {
    std::mt19937_64 random(1);
    for (int round = 0; round < 500; ++round) {
        const Case made = random_case(random);
        const auto starts = plan(Time(0), made.cards, made.running, made.waiting);
        for (std::size_t i = 0; i < starts.size(); ++i) {
            Time wanted(0);
            while (!may_start(made, starts, i, wanted))
                wanted = wanted + Millis(1);
            REQUIRE(starts[i] == wanted);
        }
    }
}

TEST_CASE("nobody starts later than in strict order") {
    std::mt19937_64 random(2);
    for (int round = 0; round < 500; ++round) {
        const Case made = random_case(random);
        const auto starts = plan(Time(0), made.cards, made.running, made.waiting);
        std::vector<Time> strict;
        for (std::size_t i = 0; i < starts.size(); ++i) {
            Time start = strict.empty() ? Time(0) : strict.back();
            while (!may_start(made, strict, i, start))
                start = start + Millis(1);
            strict.push_back(start);
            REQUIRE(starts[i] <= strict[i]);
        }
    }
}

TEST_CASE("what ends early delays nobody's promise") {
    std::mt19937_64 random(3);
    int earlier = 0;
    for (int round = 0; round < 1'000; ++round) {
        Case made = random_case(random);
        const auto before = plan(Time(0), made.cards, made.running, made.waiting);
        if (made.running.empty()) continue;
        made.running.erase(made.running.begin() +
                           static_cast<std::ptrdiff_t>(random() % made.running.size()));
        for (std::size_t i = 0; i < before.size(); ++i)
            made.waiting[i].promised = before[i];
        const auto after = plan(Time(0), made.cards, made.running, made.waiting);
        for (std::size_t i = 0; i < before.size(); ++i) {
            REQUIRE(after[i] <= before[i]);
            if (after[i] < before[i]) ++earlier;
        }
        for (int at = 0; at < 200; ++at)
            REQUIRE(in_use(made, after, after.size(), Time(at)) <= made.cards);
    }
    CHECK(earlier > 100);
}

TEST_CASE("a small one fills the gap before a gang, and a long one does not") {
    const std::vector<Running> running{{6, Time(100)}};
    const auto starts =
        plan(Time(0), 8, running,
             {{8, Millis(50), {}}, {2, Millis(100), {}}, {2, Millis(101), {}}, {1, Millis(10), {}}});
    CHECK(starts[0] == Time(100));
    CHECK(starts[1] == Time(0));
    CHECK(starts[2] == Time(150));
    CHECK(starts[3] == Time(150));
}

TEST_CASE("a timetable forgets the past") {
    Timetable table(Time(0), 4);
    table.book(Time(0), Time(10), 3);
    table.book(Time(20), Time(30), 4);
    table.forget_before(Time(5));
    CHECK(table.free_at(Time(5)) == 1);
    CHECK(table.earliest(Time(5), 1, Millis(15)) == Time(5));
    CHECK(table.earliest(Time(5), 2, Millis(10)) == Time(10));
    CHECK(table.earliest(Time(5), 2, Millis(11)) == Time(30));
    table.give_back(Time(25), Time(30), 4);
    CHECK(table.earliest(Time(5), 4, Millis(11)) == Time(25));
}

}  // namespace
}  // namespace fallow::market::placement

// The placement rule against what its definition says, word for word and without any index.
#include "market/placement/index.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch.hpp>
#include <functional>
#include <map>
#include <random>

namespace fallow::market::placement {
namespace {

using Randomness = std::mt19937_64;

std::int64_t below(Randomness& random, std::int64_t end) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(end));
}

Room a_room(std::int32_t whole, std::vector<std::int16_t> parts, std::int64_t cpu = 64'000, Kind kind = 0) {
    return {kind, cpu, 1'000, whole, std::move(parts)};
}

Task a_task(std::int32_t cards, std::int32_t thousandths = 1000, std::int64_t cpu = 4'000,
            std::vector<Kind> kinds = {}) {
    return {cards, thousandths, cpu, 10, std::move(kinds)};
}

Task random_task(Randomness& random) {
    static constexpr std::array shares{100, 230, 470, 500, 810};
    Task task;
    task.cards = static_cast<std::int32_t>(below(random, 5));
    if (task.cards == 3) task.cards = 1;
    if (task.cards == 1 && below(random, 3) > 0)
        task.thousandths = shares[static_cast<std::size_t>(below(random, std::ssize(shares)))];
    task.cpu_milli = 1'000 * below(random, 16);
    task.memory = below(random, 40);
    if (task.cards > 0 && below(random, 4) == 0) task.kinds = {static_cast<Kind>(below(random, 3))};
    return task;
}

Room random_room(Randomness& random) {
    Room room = a_room(static_cast<std::int32_t>(below(random, 13)), {}, 8'000 * (1 + below(random, 12)),
                       static_cast<Kind>(below(random, 4)));
    room.memory = 50 + below(random, 200);
    return room;
}

/// One of few, so that many hosts have equal room.
Room coarse(Room room) {
    return a_room(room.whole_cards / 3, {}, 96'000);
}
Task coarse(Task task) {
    task.cpu_milli = task.cpu_milli / 8'000 * 4'000;
    task.memory = 0;
    task.kinds.clear();
    return task;
}

/// Worth::of, as its header defines it.
std::int64_t usable_by_definition(const std::vector<Expected>& expected, const Room& room) {
    std::int64_t sum = 0;
    for (const auto& [task, weight] : expected) {
        Task without_memory = task;
        without_memory.memory = 0;
        if (task.cards == 0 || !fits(room, without_memory)) continue;
        std::int64_t usable = 1000 * room.whole_cards;
        if (task.is_share())
            for (const std::int16_t part : room.parts)
                if (part >= task.thousandths) usable += part;
        sum += weight * usable;
    }
    return sum;
}

std::vector<std::int32_t> cards_to_cut(const Room& room, const Task& task) {
    if (!task.is_share()) return {whole_card};
    std::vector<std::int32_t> found;
    for (const std::int16_t part : room.parts)
        if (part >= task.thousandths) found.push_back(part);
    if (room.whole_cards > 0) found.push_back(whole_card);
    return found;
}

using Hosts = std::map<RawId, Room>;

/// The choice by a scan over all hosts.
std::optional<Choice> best_of_all(const Worth& worth, const Hosts& hosts, const Task& task) {
    std::optional<Choice> best;
    for (const auto& [id, room] : hosts) {
        if (!fits(room, task)) continue;
        const Choice choice{id, worth.after(room, task).from, cost_of(worth, room, task)};
        if (!best || choice.cost < best->cost) best = choice;
    }
    return best;
}

TEST_CASE("what fits") {
    struct Row {
        const char* what;
        Room room;
        Task task;
        bool expected;
    };
    const std::vector<Row> rows{
        {"whole cards", a_room(2, {}), a_task(2), true},
        {"too few", a_room(1, {900}), a_task(2), false},
        {"a share of a card in use", a_room(0, {300}), a_task(1, 300), true},
        {"a share of a whole card", a_room(1, {100}), a_task(1, 300), true},
        {"a share too large", a_room(0, {299, 200}), a_task(1, 300), false},
        {"a part is no whole card", a_room(0, {999}), a_task(1), false},
        {"processor to the last", a_room(1, {}, 4'000), a_task(1), true},
        {"processor short", a_room(1, {}, 3'999), a_task(1), false},
        {"memory short", Room{0, 64'000, 9, 1, {}}, a_task(1), false},
        {"kind allowed", a_room(1, {}, 64'000, 2), a_task(1, 1000, 4'000, {0, 2}), true},
        {"kind not allowed", a_room(1, {}, 64'000, 1), a_task(1, 1000, 4'000, {0, 2}), false},
        {"no card asked for", a_room(0, {}), a_task(0), true},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        CHECK(fits(row.room, row.task) == row.expected);
    }
}

TEST_CASE("what is left") {
    CHECK(taken(a_room(2, {700, 300}), a_task(1, 300), 300) == Room{0, 60'000, 990, 2, {700}});
    CHECK(taken(a_room(2, {700, 300}), a_task(1, 300), 700) == Room{0, 60'000, 990, 2, {400, 300}});
    CHECK(taken(a_room(2, {700, 300}), a_task(1, 300), whole_card) ==
          Room{0, 60'000, 990, 1, {700, 700, 300}});
    CHECK(taken(a_room(2, {700, 300}), a_task(2), whole_card) == Room{0, 60'000, 990, 0, {700, 300}});
}

TEST_CASE("worth equals its definition, and the best card is the one that leaves most") {
    Randomness random(1);
    for (int round = 0; round < 2'000; ++round) {
        std::vector<Expected> expected;
        for (std::int64_t i = below(random, 12); i > 0; --i)
            expected.push_back({random_task(random), 1 + below(random, 50)});
        const Worth worth(expected);
        Room room = random_room(random);
        for (std::int64_t i = below(random, 4); i > 0; --i)
            room.parts.push_back(static_cast<std::int16_t>(1 + below(random, 999)));
        std::sort(room.parts.begin(), room.parts.end(), std::greater<>());
        REQUIRE(worth.of(room) == usable_by_definition(expected, room));
        const Task task = random_task(random);
        if (!fits(room, task)) continue;
        const auto after = worth.after(room, task);
        REQUIRE(after.usable == worth.of(taken(room, task, after.from)));
        for (const std::int32_t from : cards_to_cut(room, task)) {
            const std::int64_t usable = worth.of(taken(room, task, from));
            REQUIRE(usable <= after.usable);
            if (usable == after.usable) REQUIRE(after.from <= from);
        }
    }
}

TEST_CASE("nothing known: the host that keeps least, then the lowest id") {
    Index index;
    index.set(RawId{0, 3}, a_room(2, {}));
    index.set(RawId{0, 2}, a_room(1, {400}));
    index.set(RawId{0, 1}, a_room(4, {}));
    CHECK(index.choose(a_task(1))->host == RawId{0, 2});
    CHECK(index.choose(a_task(1, 300))->from == 400);
    CHECK(index.choose(a_task(4))->host == RawId{0, 1});
    index.set(RawId{0, 1}, a_room(2, {}, 32'000));
    CHECK(index.choose(a_task(2))->host == RawId{0, 1});
    CHECK(!index.choose(a_task(3)));
    index.remove(RawId{0, 1});
    CHECK(index.choose(a_task(2))->host == RawId{0, 3});
}

TEST_CASE("what is asked for decides where a task goes") {
    // Where pairs are asked for, a single card spoils the only pair of a host, although that host keeps
    // less.
    const auto choose_after = [](const Task& asked) {
        Index index;
        index.set(RawId{0, 1}, a_room(2, {}));
        index.set(RawId{0, 2}, a_room(3, {}));
        for (int i = 0; i < 64; ++i)
            index.learn(asked);
        return index.choose(a_task(1))->host;
    };
    CHECK(choose_after(a_task(2)) == RawId{0, 2});
    CHECK(choose_after(a_task(1)) == RawId{0, 1});
}

TEST_CASE("a scarce kind is spared") {
    Supply supply;
    supply.add(0, 900'000);
    supply.add(1, 100'000);
    const auto weights =
        weighed({{a_task(1), 1024}, {a_task(1, 1000, 0, {1}), 1024}, {a_task(4), 1024}}, supply);
    CHECK(weights[0].weight == 1024);
    CHECK(weights[1].weight == 3238);  // the root of ten
    CHECK(weights[2].weight == 512);   // the root of a quarter
}

TEST_CASE("the demand window is bounded and decays") {
    DemandWindow window(100);
    for (int i = 0; i < 1'000; ++i)
        window.add(a_task(1));
    for (int i = 0; i < 2'000; ++i)
        window.add(a_task(2));
    const auto expected = window.expected();
    REQUIRE(expected.size() == 1);
    CHECK(expected.front().task.cards == 2);
    CHECK(expected.front().weight <= 100 * DemandWindow::unit);
}

TEST_CASE("the index chooses what a scan would, after any sequence") {
    std::size_t decisions = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        // With many hosts a class keeps only the cheaper groups at hand.
        const std::uint64_t count = seed % 4 == 0 ? 500 : 40;
        const bool is_coarse = seed % 3 == 0;
        Randomness random(seed);
        Index index;
        Hosts hosts;
        std::vector<std::pair<RawId, Room>> grown;  // what returns when a task ends
        for (std::uint64_t i = 0; i < count; ++i)
            hosts[RawId{seed % 2, i}] = is_coarse ? coarse(random_room(random)) : random_room(random);
        for (const auto& [id, room] : hosts)
            index.set(id, room);
        for (int step = 0; step < 1'000; ++step) {
            const Task task = is_coarse ? coarse(random_task(random)) : random_task(random);
            index.learn(task);
            const auto wanted = best_of_all(index.worth(), hosts, task);
            const auto choice = index.choose(task);
            REQUIRE(choice.has_value() == wanted.has_value());
            ++decisions;
            if (choice) {
                REQUIRE(choice->host == wanted->host);
                REQUIRE(choice->from == wanted->from);
                REQUIRE(choice->cost == wanted->cost);
                Room& room = hosts[choice->host];
                if (below(random, 3) == 0) grown.emplace_back(choice->host, room);
                room = taken(room, task, choice->from);
                REQUIRE(room.thousandths() >= 0);
                REQUIRE(std::all_of(room.parts.begin(), room.parts.end(),
                                    [](std::int16_t part) { return part > 0 && part < whole_card; }));
                index.set(choice->host, room);
            }
            if (below(random, 4) == 0 && !grown.empty()) {
                const auto [id, room] = grown.back();
                grown.pop_back();
                index.set(id, hosts[id] = room);
            }
            if (below(random, 50) == 0) {
                const RawId id{seed % 2, random() % count};
                hosts.erase(id);
                index.remove(id);
            }
        }
        REQUIRE(index.hosts() == hosts.size());
        REQUIRE(index.groups() <= hosts.size());
    }
    CHECK(decisions == 20'000);
}

}  // namespace
}  // namespace fallow::market::placement

// What a host may tell of a lease's use, and what follows from it: one row, one case, one verdict.
#include "accounts/telemetry.hpp"

#include <catch2/catch.hpp>

#include "accounts/efficiency.hpp"

using namespace fallow;
using namespace fallow::accounts;

namespace {

constexpr std::int64_t gib = 1LL << 30;
constexpr std::int64_t mib = 1LL << 20;
const CardId first(RawId{1, 1});
const CardId second(RawId{1, 2});
constexpr Time now(1'800'000'000'000);

CardTelemetry sent(CardId card, const std::vector<Time>& at) {
    CardTelemetry given;
    given.card.card = card;
    for (const Time time : at)
        given.minutes.emplace_back().at = time;
    return given;
}

/// A card of `lease` with `minutes` of one use.
CardUse use_of(int lease, std::int64_t minutes, std::int64_t mean, std::int64_t p95, std::int64_t memory) {
    CardUse use;
    use.measured.card.lease = LeaseId(RawId{2, static_cast<std::uint64_t>(lease)});
    use.measured.card.source = TelemetrySource::nvml;
    use.measured.card.memory_bytes = 80 * gib;
    use.measured.minutes = minutes;
    use.measured.utilization_thousandths = Summary{mean, mean, p95, 1000};
    use.measured.memory_used_bytes = Summary{memory / 2, memory / 2, memory, memory};
    use.running = Millis(minutes * telemetry_step.count);
    return use;
}

}  // namespace

TEST_CASE("what a host tells of a lease has to be of its cards and of its time") {
    const MeasuredSpan span{now - hours(30), now - minutes(1)};
    const Time good = minute_of(now - minutes(5));
    struct Row {
        std::vector<CardTelemetry> cards;
        std::string pointer;  ///< empty: taken
    };
    const std::vector<Row> rows = {
        {{}, ""},
        {{sent(first, {good, good + minutes(1)}), sent(second, {good})}, ""},
        {{sent(CardId(RawId{9, 9}), {good})}, "/cards/0/card_id"},
        {{sent(first, {good}), sent(first, {good + minutes(1)})}, "/cards/1/card_id"},
        {{sent(first, {good + seconds(1)})}, "/cards/0/minutes/0/at"},
        {{sent(first, {good, good})}, "/cards/0/minutes/1/at"},
        {{sent(first, {minute_of(now) + minutes(1)})}, "/cards/0/minutes/0/at"},
        {{sent(first, {minute_of(now - hours(24)) - minutes(1)})}, "/cards/0/minutes/0/at"},
        {{sent(first, {minute_of(now - hours(31))})}, "/cards/0/minutes/0/at"},
    };
    for (const Row& row : rows) {
        INFO(row.pointer);
        const Status checked = check_telemetry(row.cards, {first, second}, span, now);
        CHECK(checked.ok() == row.pointer.empty());
        if (!checked.ok()) CHECK(checked.error().pointer == row.pointer);
    }
    std::vector<Time> many;
    for (std::size_t i = 0; i <= telemetry_minutes_per_request_max; ++i)
        many.push_back(good - minutes(static_cast<std::int64_t>(i)));
    CHECK(check_telemetry({sent(first, many)}, {first}, span, now).error().pointer == "/cards/0/minutes");
}

TEST_CASE("with many cards less of the past is summed up") {
    CHECK(telemetry_history_max(0) == telemetry_kept);
    CHECK(telemetry_history_max(9) == telemetry_kept);
    CHECK(telemetry_history_max(64) == minutes(6250));
}

TEST_CASE("a step is as long as the number of points asks for, in whole minutes") {
    const MeasuredSpan day{Time(0), Time(hours(24).count)};
    CHECK(telemetry_step_for(day, 500, 1) == minutes(3));
    CHECK(telemetry_step_for(day, 120, 1) == minutes(13));
    CHECK(telemetry_step_for(day, 1, 1) == minutes(1441));
    CHECK(telemetry_step_for(day, 500, 64) == minutes(23));  // 64 points of each of 64 cards
    CHECK(telemetry_step_for({Time(0), Time(0)}, 120, 1) == minutes(1));
    CHECK(telemetry_step_for({now, now - hours(1)}, 120, 0) == minutes(1));
}

TEST_CASE("what was used is measured against what was paid") {
    CHECK_FALSE(efficiency_of({}).used_thousandths);
    CHECK(efficiency_of({}).verdict == UseVerdict::nothing_measured);
    CHECK(efficiency_of({use_of(1, 60, 120, 200, gib)}).used_thousandths == 120);
    CardUse share = use_of(1, 60, 120, 200, gib);
    share.paid_thousandths = 250;
    CHECK(efficiency_of({share}).used_thousandths == 480);
    share.paid_thousandths = 100;  // it took more than its part: nothing was left unused
    CHECK(efficiency_of({share}).used_thousandths == 1000);
    // Each minute counts alike, of whichever attempt.
    CHECK(efficiency_of({use_of(1, 90, 100, 200, gib), use_of(2, 10, 900, 950, gib)}).used_thousandths ==
          180);
    CardUse guest = use_of(1, 60, 500, 600, gib);
    guest.measured.card.source = TelemetrySource::cgroup;
    guest.measured.card.cpu_millis = 2000;
    CHECK(efficiency_of({guest}).used_thousandths == 500);
    CardUse dark = use_of(1, 60, 0, 0, gib);
    dark.measured.utilization_thousandths.reset();
    CHECK_FALSE(efficiency_of({dark}).used_thousandths);
    CHECK(efficiency_of({dark}).verdict == UseVerdict::not_all_measured);
}

TEST_CASE("a hint is given where the evidence carries it") {
    struct Row {
        const char* what;
        CardUse use;
        UseVerdict verdict;
        std::int64_t thousandths;  ///< of the hint
        std::int64_t vram_gib;
    };
    const auto changed = [](CardUse use, auto change) {
        change(use);
        return use;
    };
    const CardUse small = use_of(1, 60, 120, 200, 9 * gib);
    const std::vector<Row> rows = {
        {"12 % on average, 20 % at most, 9 GiB", small, UseVerdict::oversized, 250, 12},
        {"memory needs the larger part", use_of(1, 60, 20, 30, 30 * gib), UseVerdict::oversized, 500, 38},
        {"ten minutes are enough", use_of(1, 10, 120, 200, 9 * gib), UseVerdict::oversized, 250, 12},
        {"nine are not", use_of(1, 9, 120, 200, 9 * gib), UseVerdict::too_little_measured, 0, 0},
        {"half of its time was not seen", changed(small, [](CardUse& use) { use.running = minutes(121); }),
         UseVerdict::too_little_measured, 0, 0},
        {"busy at times: the mean alone would mislead", use_of(1, 60, 120, 410, gib), UseVerdict::well_used,
         0, 0},
        {"memory is what the card is for", use_of(1, 60, 120, 200, 33 * gib), UseVerdict::well_used, 0, 0},
        {"half of a card, and half of that was needed",
         changed(small, [](CardUse& use) { use.paid_thousandths = 500; }), UseVerdict::oversized, 250, 12},
        {"a smaller part fits it well", changed(small, [](CardUse& use) { use.paid_thousandths = 450; }),
         UseVerdict::well_used, 0, 0},
        {"others had a part of it", changed(small, [](CardUse& use) { use.measured.card.shared = true; }),
         UseVerdict::shared_card, 0, 0},
        {"no memory was measured",
         changed(small, [](CardUse& use) { use.measured.memory_used_bytes.reset(); }),
         UseVerdict::not_all_measured, 0, 0},
        {"how much memory the card has is not known",
         changed(small, [](CardUse& use) { use.measured.card.memory_bytes.reset(); }),
         UseVerdict::not_all_measured, 0, 0},
        {"nothing at all was done", use_of(1, 60, 0, 0, 0), UseVerdict::oversized, 50, 1},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const Efficiency efficiency = efficiency_of({row.use});
        CHECK(efficiency.verdict == row.verdict);
        CHECK(efficiency.hint.has_value() == (row.verdict == UseVerdict::oversized));
        if (!efficiency.hint) continue;
        CHECK(efficiency.hint->thousandths == row.thousandths);
        CHECK(efficiency.hint->vram_bytes == row.vram_gib * gib);
        CHECK_FALSE(efficiency.hint->cards);
        CHECK_FALSE(efficiency.hint->cpu_millis);
    }
    CHECK(
        efficiency_of({small}).hint->text ==
        "peak memory 9 GiB of 80 GiB, utilisation 12 % on average and 20 % in its busiest minutes: a share "
        "of 250 thousandths or a card with 12 GiB would have done.");
}

TEST_CASE("of several cards fewer or smaller ones are named, never a share") {
    const CardUse busy = use_of(1, 60, 800, 900, 70 * gib);
    const CardUse idle = use_of(1, 60, 0, 0, gib);
    const CardUse small = use_of(1, 60, 100, 200, 9 * gib);
    const auto idle_two = efficiency_of({busy, idle, busy, idle});
    REQUIRE(idle_two.hint);
    CHECK(idle_two.hint->cards == 2);
    CHECK_FALSE(idle_two.hint->vram_bytes);
    CHECK_FALSE(idle_two.hint->thousandths);
    const auto all_small = efficiency_of({small, small});
    REQUIRE(all_small.hint);
    CHECK_FALSE(all_small.hint->cards);
    CHECK(all_small.hint->vram_bytes == 12 * gib);
    CHECK(efficiency_of({busy, busy}).verdict == UseVerdict::well_used);
    // Two attempts on one card each are one card, twice.
    const auto twice = efficiency_of({small, use_of(2, 30, 200, 350, 5 * gib)});
    REQUIRE(twice.hint);
    CHECK(twice.hint->thousandths == 450);
    CHECK(twice.hint->vram_bytes == 12 * gib);
}

TEST_CASE("of a processor the job's own wishes are named") {
    CardUse guest = use_of(1, 60, 100, 200, 100 * mib);
    guest.measured.card.source = TelemetrySource::cgroup;
    guest.measured.card.memory_bytes = gib;
    guest.measured.card.cpu_millis = 4000;
    const auto found = efficiency_of({guest});
    REQUIRE(found.hint);
    CHECK(found.hint->cpu_millis == 1000);
    CHECK(found.hint->memory_bytes == 128 * mib);
    CHECK_FALSE(found.hint->thousandths);
    guest.measured.memory_used_bytes->max = 500 * mib;  // with room for it more than half
    CHECK(efficiency_of({guest}).verdict == UseVerdict::well_used);
    guest.measured.card.cpu_millis.reset();
    CHECK(efficiency_of({guest}).verdict == UseVerdict::not_all_measured);
    // Attempts on a processor and on a GPU have no measure in common.
    guest.measured.card.cpu_millis = 4000;
    CHECK(efficiency_of({guest, use_of(2, 60, 10, 20, gib)}).verdict == UseVerdict::well_used);
}

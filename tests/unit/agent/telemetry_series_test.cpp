// Readings become minutes, minutes wait to be sent, and what waits is bounded.
#include "agent/telemetry_series.hpp"

#include <catch2/catch.hpp>

using namespace fallow::agent;

namespace {

constexpr std::int64_t minute = TelemetrySeries::minute_ms;
constexpr std::int64_t start = 1'800'000'000'000 / minute * minute;

UseOf of_card(const std::string& lease, const std::string& card) {
    return {.lease_id = lease, .card_id = card, .source = "nvml"};
}

UseSample busy(std::int64_t thousandths) {
    return {.utilization_thousandths = thousandths};
}

}  // namespace

TEST_CASE("a minute has the mean and the highest of its samples, and nothing of what was not read") {
    TelemetrySeries series;
    const UseOf of = of_card("lease_1", "card_1");
    series.add(of, start + 1000, busy(100));
    series.add(of, start + 2000, {.utilization_thousandths = 301, .memory_used_bytes = 7});
    series.add(of, start + 59'999, {});
    series.close(start + minute - 1, {"lease_1"});
    CHECK(series.waiting() == 0);
    series.close(start + minute, {"lease_1"});
    const auto batch = series.take(start + minute);
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].of == of);
    CHECK(batch[0].minutes == std::vector<UseMinute>{{.at_unix_ms = start,
                                                      .samples = 3,
                                                      .utilization_thousandths = UseLevel{200, 301},
                                                      .memory_used_bytes = UseLevel{7, 7}}});
    CHECK(series.take(start + minute).empty());
}

TEST_CASE("a minute ends with the first sample of the next one, and with its lease") {
    TelemetrySeries series;
    series.add(of_card("lease_1", "card_1"), start, busy(1));
    series.add(of_card("lease_1", "card_1"), start + minute, busy(2));
    CHECK(series.waiting() == 1);
    series.add(of_card("lease_2", "card_2"), start + minute, busy(3));
    series.close(start + minute + 1, {"lease_2"});
    CHECK(series.waiting() == 2);  // the first lease is over, the second one goes on
    const auto batch = series.take(start + minute);
    REQUIRE(batch.size() == 1);
    REQUIRE(batch[0].minutes.size() == 2);
    CHECK(batch[0].minutes[0].at_unix_ms == start);
    CHECK(batch[0].minutes[1].utilization_thousandths == UseLevel{2, 2});
}

TEST_CASE("a card that was shared at one moment of a minute was shared in it") {
    TelemetrySeries series;
    UseOf of = of_card("lease_1", "card_1");
    of.shared = true;
    series.add(of, start, busy(1));
    of.shared = false;
    of.memory_bytes = 80;
    series.add(of, start + 1000, busy(1));
    series.close(start, {});
    const auto batch = series.take(start);
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].of.shared);
    CHECK(batch[0].of.memory_bytes == 80);
}

TEST_CASE("a batch is of one lease, bounded, and comes again in its order when it was not sent") {
    TelemetrySeries series;
    const auto count = static_cast<std::int64_t>(TelemetrySeries::batch_max) + 10;
    for (std::int64_t i = 0; i < count; ++i)
        for (const char* card : {"card_1", "card_2"})
            series.add(of_card("lease_1", card), start + i * minute, busy(i));
    series.add(of_card("lease_2", "card_3"), start, busy(1));
    series.close(start + count * minute, {});
    const std::int64_t now = start + count * minute;
    const auto first = series.take(now);
    REQUIRE(first.size() == 2);
    CHECK(first[0].minutes.size() + first[1].minutes.size() == TelemetrySeries::batch_max);
    const std::size_t left = series.waiting();
    series.put_back(first);
    CHECK(series.waiting() == left + TelemetrySeries::batch_max);
    CHECK(series.take(now) == first);
    series.give_up(first);
    CHECK(series.dropped() == static_cast<std::int64_t>(TelemetrySeries::batch_max));
    std::size_t taken = TelemetrySeries::batch_max;
    for (auto batch = series.take(now); !batch.empty(); batch = series.take(now))
        for (const CardMinutes& card : batch)
            taken += card.minutes.size();
    CHECK(taken == static_cast<std::size_t>(2 * count + 1));
}

TEST_CASE("without the server the oldest minutes go, by their age and by their number") {
    TelemetrySeries series;
    series.add(of_card("lease_1", "card_1"), start, busy(1));
    series.add(of_card("lease_1", "card_1"), start + minute, busy(2));
    series.close(start, {});
    const auto batch = series.take(start + minute + TelemetrySeries::kept_ms);
    REQUIRE(batch.size() == 1);
    CHECK(batch[0].minutes.size() == 1);
    CHECK(series.dropped() == 1);
    for (std::size_t i = 0; i <= TelemetrySeries::waiting_max; ++i) {
        series.add(of_card("lease_1", std::to_string(i)), start, busy(1));
        series.close(start, {});
    }
    CHECK(series.waiting() == TelemetrySeries::waiting_max);
    CHECK(series.dropped() == 2);
}

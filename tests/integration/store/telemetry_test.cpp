// Telemetry in PostgreSQL: what is put, summed up, seen by whom, and removed.
#include "store/telemetry.hpp"

#include <catch2/catch.hpp>

#include "integration/store/accounts_rows.hpp"
#include "store/maintenance.hpp"

namespace fallow::store {
namespace {

using accounts::CardSummary;
using accounts::CardTelemetry;
using accounts::Level;
using accounts::MeasuredMinute;
using accounts::Summary;
using accounts::TelemetrySource;

const CardId renter_card(RawId{0x80, 1});
const Time start = accounts::minute_of(test_now);
const Actor host = Actor::agent(seller_host);

CardTelemetry a_card() {
    CardTelemetry given;
    given.card.lease = renter_lease;
    given.card.card = renter_card;
    given.card.renter = renter;
    given.card.seller = seller;
    given.card.job = renter_job;
    given.card.memory_bytes = 1000;
    given.card.last_at = start;
    return given;
}

MeasuredMinute a_minute(std::int64_t number, std::int32_t mean, std::int32_t samples = 10) {
    MeasuredMinute minute;
    minute.lease = renter_lease;
    minute.card = renter_card;
    minute.at = start + minutes(number);
    minute.renter = renter;
    minute.seller = seller;
    minute.samples = samples;
    minute.utilization_thousandths = Level<std::int32_t>{mean, mean + 5};
    return minute;
}

void put(AccountRows& rows, const Actor& actor, const std::vector<MeasuredMinute>& minutes) {
    CardTelemetry given = a_card();
    given.minutes = minutes;
    for (const MeasuredMinute& minute : minutes)
        given.card.last_at = std::max(given.card.last_at, minute.at);
    rows.as(actor, [&](Transaction& tx) { TelemetryStore(tx).put({given}); });
}

std::vector<CardSummary> summaries(AccountRows& rows, const Actor& actor, Time from = start) {
    return rows.as(actor,
                   [&](Transaction& tx) { return TelemetryStore(tx).summaries(renter_lease, from); });
}

TEST_CASE("minutes are summed up, each by its samples, and what was not measured stays unknown") {
    AccountRows rows;
    std::vector<MeasuredMinute> all;
    for (std::int32_t i = 0; i < 20; ++i)
        all.push_back(a_minute(i, 10 * i));
    all.push_back(a_minute(20, 900, 30));
    put(rows, host, all);
    const auto found = summaries(rows, Actor::request(renter));
    REQUIRE(found.size() == 1);
    CHECK(found[0].card.job == renter_job);
    CHECK(found[0].card.source == TelemetrySource::nvml);
    CHECK(found[0].minutes == 21);
    // (10 × (0 + 10 + … + 190) + 30 × 900) / 230
    CHECK(found[0].utilization_thousandths == Summary{200, 100, 190, 905});
    CHECK_FALSE(found[0].memory_used_bytes);
    CHECK_FALSE(found[0].power_milliwatts);
    CHECK(summaries(rows, Actor::request(renter), start + minutes(20))[0].utilization_thousandths ==
          Summary{900, 900, 900, 905});
    CHECK(summaries(rows, Actor::request(renter), start + minutes(21)).empty());
    const auto of_job = rows.as(Actor::request(renter), [](Transaction& tx) {
        return TelemetryStore(tx).summaries(renter_job, start);
    });
    REQUIRE(of_job.size() == 1);
    CHECK(of_job[0].minutes == 21);
    rows.as(Actor::request(renter), [](Transaction& tx) {
        CHECK(TelemetryStore(tx).summaries(renter_job, start + minutes(20))[0].minutes == 1);
        CHECK(TelemetryStore(tx).cards_of(renter_job) == 1);
        CHECK(TelemetryStore(tx).cards_of(JobId(RawId{9, 9})) == 0);
    });

    const auto steps = rows.as(Actor::request(renter), [](Transaction& tx) {
        return TelemetryStore(tx).steps(renter_lease, start, minutes(10));
    });
    REQUIRE(steps.size() == 3);
    CHECK(steps[1].at == start + minutes(10));
    CHECK(steps[1].samples == 100);
    CHECK(steps[1].utilization_thousandths == Level<std::int32_t>{145, 195});
    CHECK(steps[2].utilization_thousandths == Level<std::int32_t>{900, 905});
    CHECK(steps[2].temperature_celsius == Level<std::int32_t>{});
}

TEST_CASE("a minute that comes again changes nothing, one with more samples replaces it") {
    AccountRows rows;
    put(rows, host, {a_minute(0, 100, 10)});
    put(rows, host, {a_minute(0, 200, 10)});
    CHECK(summaries(rows, host)[0].utilization_thousandths->mean == 100);
    put(rows, host, {a_minute(0, 300, 11), a_minute(1, 300)});
    CHECK(summaries(rows, host)[0].utilization_thousandths->mean == 300);
    CHECK(summaries(rows, host)[0].minutes == 2);
    CardTelemetry shared = a_card();
    shared.card.shared = true;
    shared.card.memory_bytes.reset();
    shared.minutes = {a_minute(2, 1)};
    rows.as(host, [&](Transaction& tx) { TelemetryStore(tx).put({shared}); });
    put(rows, host, {a_minute(3, 1)});
    CHECK(summaries(rows, host)[0].card.shared);  // once shared, its figures are no one's alone
    CHECK(summaries(rows, host)[0].card.memory_bytes == 1000);
}

TEST_CASE("renter and seller read it, a stranger and another host do not, and only its host writes") {
    AccountRows rows;
    put(rows, host, {a_minute(0, 100)});
    for (const Actor& actor : {Actor::request(renter), Actor::request(seller), Actor::admin(), host})
        CHECK(summaries(rows, actor).size() == 1);
    const OrganizationId stranger(RawId{0x10, 9});
    for (const Actor& actor : {Actor::request(stranger), Actor::agent(other_host)})
        CHECK(summaries(rows, actor).empty());
    for (const Actor& actor : {Actor::request(renter), Actor::request(seller), Actor::agent(other_host)})
        CHECK_THROWS_AS(put(rows, actor, {a_minute(1, 0)}), DatabaseError);
    // Under another's name not even its host writes.
    CardTelemetry forged = a_card();
    forged.card.renter = stranger;
    forged.minutes = {a_minute(1, 0)};
    CHECK_THROWS_AS(rows.as(host, [&](Transaction& tx) { TelemetryStore(tx).put({forged}); }),
                    DatabaseError);
    CHECK(rows.peek("SELECT count(*) FROM telemetry_minutes") == "1");
}

TEST_CASE("telemetry goes after 30 days, a bounded number at a time") {
    AccountRows rows;
    put(rows, host, {a_minute(0, 100), a_minute(1, 100), a_minute(2, 100)});
    CHECK(expire(rows.connection, start + days(30), 10) == 0);
    CHECK(expire(rows.connection, start + days(30) + minutes(1), 10) == 1);
    CHECK(summaries(rows, Actor::request(renter))[0].minutes == 2);
    CHECK(expire(rows.connection, start + days(31), 1) == 2);  // a minute, and the card
    CHECK(expire(rows.connection, start + days(31), 1) == 1);
    CHECK(expire(rows.connection, start + days(31), 1) == 0);
    CHECK(rows.peek("SELECT count(*) FROM telemetry_cards") == "0");
}

}  // namespace
}  // namespace fallow::store

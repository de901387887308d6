// What a lease's end adds to its host's record, and what follows from that.
#include "market/reliability.hpp"

#include "support/market_world.hpp"
#include "support/text_table.hpp"

using namespace fallow;
using namespace fallow::market;
using namespace fallow::testing;

namespace {

std::string text_of(const HostRecord& record) {
    std::string text;
    const auto add = [&](const char* name, Millis count) {
        if (count.count != 0)
            text += (text.empty() ? "" : " ") + std::string(name) + " " + std::to_string(count.count);
    };
    add("delivered", record.delivered);
    add("lost", record.lost);
    add("reclaimed", record.reclaimed);
    add("start_failed", record.start_failed);
    add("clipped", record.clipped);
    return text;
}

Lease a_lease(EndReason reason, Millis term, Millis ran, Millis claimed, bool has_job = true) {
    Lease lease;
    lease.end_reason = reason;
    lease.term = term;
    lease.meter.running = ran;
    lease.claimed = claimed;
    if (has_job) lease.job = JobId{RawId{0, 1}};
    return lease;
}

}  // namespace

TEST_CASE("What a lease's end adds to the record") {
    for (const auto& row : text_table(R"(
        reason              | adds
        completed           | delivered 3600000
        command_failed      | delivered 3600000
        out_of_memory       | delivered 3600000
        duration_exceeded   | delivered 3600000
        cancelled_by_renter | delivered 3600000
        outbid              | delivered 3600000
        term_reached        | delivered 3600000
        funds_exhausted     | delivered 3600000
        image_pull_failed   | delivered 3600000
        policy_revoked      | delivered 3600000
        temporary_failure   | delivered 3600000
        unhealthy           | delivered 3600000
        idle                | delivered 3600000
        host_lost           | delivered 3600000 lost 32400000
        reclaimed_by_owner  | delivered 3600000 reclaimed 32400000
        host_maintenance    | delivered 3600000 reclaimed 32400000
        start_failed        | delivered 3600000 start_failed 600000
        start_timeout       | delivered 3600000 start_failed 600000
    )")) {
        INFO(row["reason"]);
        const auto reason = parse_enum<EndReason>(row["reason"]).value();
        CHECK(text_of(with({}, a_lease(reason, hours(10), hours(1), hours(1)))) == row["adds"]);
    }
    CHECK(all_names<EndReason>() ==
          "completed, command_failed, out_of_memory, duration_exceeded, cancelled_by_renter, outbid, "
          "reclaimed_by_owner, term_reached, funds_exhausted, host_lost, image_pull_failed, start_failed, "
          "start_timeout, host_maintenance, policy_revoked, temporary_failure, unhealthy, idle");
}

TEST_CASE("No lease adds more than a day of failure, and a rental that waited for its renter none") {
    CHECK(with({}, a_lease(EndReason::host_lost, days(30), Millis(0), Millis(0))).lost == hours(24));
    CHECK(with({}, a_lease(EndReason::start_timeout, hours(1), Millis(0), Millis(0), false)) ==
          HostRecord{});
    CHECK(with({}, a_lease(EndReason::completed, hours(9), hours(1), hours(3))).clipped == hours(2));
    CHECK(with({}, a_lease(EndReason::completed, hours(9), hours(1), Millis(INT64_MAX))).clipped ==
          hours(24));
    CHECK(with({}, a_lease(EndReason::completed, hours(9), hours(1), Millis(0))).clipped == Millis(0));
}

TEST_CASE("Reliability by the record") {
    for (const auto& row : text_table(R"(
        delivered | lost | reclaimed | start_failed | clipped | ppm
        0         | 0    | 0         | 0            | 0       | 950000
        900       | 0    | 0         | 0            | 0       | 995000
        0         | 24   | 0         | 0            | 0       | 766129
        0         | 0    | 24        | 0            | 0       | 896226
        0         | 0    | 0         | 24           | 0       | 766129
        0         | 0    | 0         | 0            | 24      | 766129
        1000      | 100  | 40        | 10           | 5       | 893877
    )")) {
        const auto h = [&](const char* name) { return hours(row.number(name)); };
        const HostRecord record{h("delivered"), h("lost"), h("reclaimed"), h("start_failed"), h("clipped")};
        INFO(text_of(record));
        CHECK(reliability_ppm(record) == row.number("ppm"));
    }
}

TEST_CASE("Beyond 2,000 h all counts are halved, so that what is new weighs more") {
    HostRecord record{hours(1990), hours(8), {}, {}, {}};
    record = with(record, a_lease(EndReason::completed, hours(9), hours(9), hours(9)));
    CHECK(record ==
          HostRecord{hours(1990) + hours(9) - Millis((1999 * 3'600'000LL) / 2), hours(4), {}, {}, {}});
    CHECK(with({}, a_lease(EndReason::completed, days(365), days(365), days(365))).delivered <=
          hours(2000));
}

TEST_CASE("The record of a host is kept as its leases end, once each") {
    World world;
    const OrganizationId seller = world.organization("seller");
    const OrganizationId renter = world.rich("renter");
    const HostId host = world.host(seller, a_host().cards(2));
    world.listing(host);
    CHECK(reliability_ppm(world.host_row(host).record) == 950'000);

    const LeaseId done = world.rent(renter, an_order().job());
    world.run(done);
    world.pass(minutes(30));
    world.state_usage(done, minutes(30));
    world.exited(done, 0);
    world.reported(done, AgentPhase::gone);
    CHECK(text_of(world.host_row(host).record) == "delivered 1800000");

    const LeaseId lost = world.rent(renter, an_order().job().term(hours(2)));
    world.run(lost);
    world.lost(host);
    CHECK(world.phase(lost) == "ended host_lost");
    CHECK(text_of(world.host_row(host).record) == "delivered 1800000 lost 7200000");
    CHECK(reliability_ppm(world.host_row(host).record) == 931'707);
    world.back(host);
    world.reported(lost, AgentPhase::gone);
    CHECK(text_of(world.host_row(host).record) == "delivered 1800000 lost 7200000");
}

TEST_CASE("A host is what its cards that are there have proved") {
    for (const auto& row : text_table(R"(
        first      | second     | host
        verified   | verified   | verified
        verified   | unverified | unverified
        verified   | refused    | refused
        unverified | refused    | refused
        verified   | none       | verified
    )")) {
        INFO(row["first"] << " and " << row["second"]);
        World world;
        const HostId host = world.host(world.organization("seller"), a_host().cards(2));
        CHECK(world.host_row(host).verification == Verification::unverified);
        ReportInventory report = a_host().cards(2).inventory(world.now());
        const auto say = [&](ReportedCard& card, const std::string& what) {
            CardVerdict verdict;
            verdict.verification = parse_enum<Verification>(what).value();
            if (what == "refused") verdict.refusal = "it claims 48 GiB, and has 24";
            if (what != "unverified") verdict.verified_at = world.now();
            card.verdict = verdict;
        };
        say(report.cards[0], row["first"]);
        if (row["second"] == "none")
            report.cards.pop_back();
        else
            say(report.cards[1], row["second"]);
        static_cast<void>(world.must<InventoryAccepted>(report, world.agent_of(host)));
        CHECK(name_of(world.host_row(host).verification) == row["host"]);
        // An agent that is too old to say leaves it as it is.
        for (ReportedCard& card : report.cards)
            card.verdict.reset();
        static_cast<void>(world.must<InventoryAccepted>(report, world.agent_of(host)));
        CHECK(name_of(world.host_row(host).verification) == row["host"]);
    }
}

// The progress of leases in PostgreSQL: who writes it, who sees it, and when it goes.
#include "store/lease_progress.hpp"

#include <catch2/catch.hpp>

#include "integration/store/accounts_rows.hpp"
#include "store/maintenance.hpp"

namespace fallow::store {
namespace {

using accounts::LeaseProgress;
using accounts::ProgressStep;

const Actor host = Actor::agent(seller_host);

LeaseProgress a_progress(std::int64_t done) {
    LeaseProgress progress;
    progress.lease = renter_lease;
    progress.renter = renter;
    progress.step = ProgressStep::fetching_inputs;
    progress.done_bytes = done;
    progress.total_bytes = 100;
    progress.at = test_now + Millis(done);
    return progress;
}

void put(AccountRows& rows, const Actor& actor, const LeaseProgress& progress) {
    rows.as(actor, [&](Transaction& tx) { put_progress(tx, progress); });
}

std::vector<LeaseProgress> seen(AccountRows& rows, const Actor& actor) {
    return rows.as(actor, [](Transaction& tx) { return read_progress(tx, {renter_lease}); });
}

TEST_CASE("a lease has the progress that its host told last") {
    AccountRows rows;
    CHECK(seen(rows, Actor::request(renter)).empty());
    put(rows, host, a_progress(1));
    LeaseProgress next = a_progress(2);
    next.step = ProgressStep::pulling_image;
    next.total_bytes.reset();
    put(rows, host, next);
    CHECK(seen(rows, Actor::request(renter)) == std::vector{next});
}

TEST_CASE("only its own host writes a lease's progress, and only its renter reads it") {
    AccountRows rows;
    put(rows, host, a_progress(1));
    const OrganizationId stranger(RawId{0x10, 9});
    for (const Actor& actor : {Actor::request(seller), Actor::request(stranger), Actor::agent(other_host)})
        CHECK(seen(rows, actor).empty());
    for (const Actor& actor : {Actor::request(renter), Actor::agent(other_host)})
        CHECK_THROWS_AS(put(rows, actor, a_progress(2)), DatabaseError);
    LeaseProgress forged = a_progress(2);
    forged.renter = stranger;
    CHECK_THROWS_AS(put(rows, host, forged), DatabaseError);
    CHECK(seen(rows, Actor::request(renter)) == std::vector{a_progress(1)});
}

TEST_CASE("a lease's progress goes after its end") {
    AccountRows rows;
    put(rows, host, a_progress(1));
    CHECK(expire(rows.connection, test_now, 10) == 0);
    rows.poke("UPDATE leases SET state = 'ended', ended_at = 1, end_reason = 'completed'");
    CHECK(expire(rows.connection, test_now, 10) == 1);
    CHECK(rows.peek("SELECT count(*) FROM lease_progress") == "0");
}

}  // namespace
}  // namespace fallow::store

#include <catch2/catch.hpp>

#include "engine/journal.hpp"
#include "integration/store/accounts_rows.hpp"
#include "store/checkpoints.hpp"
#include "store/maintenance.hpp"

namespace fallow::store {
namespace {

using accounts::Checkpoint;
using accounts::CheckpointEntry;
using accounts::EntryKind;

constexpr std::int64_t room = 1000;

/// Runs `work(store)` in a transaction of its own.
template <class Work>
auto with(AccountRows& rows, const Actor& actor, Work&& work) {
    return rows.as(actor, [&](Transaction& tx) {
        CheckpointStore store(tx, {"host_test", test_now});
        return work(store);
    });
}

CheckpointEntry entry_of(const std::string& content) {
    return {"state",
            EntryKind::file,
            0644,
            static_cast<std::int64_t>(content.size()),
            test_now,
            "",
            {engine::sha256_hex(content)}};
}

Checkpoint a_checkpoint(const std::string& content, std::int32_t attempt) {
    Checkpoint checkpoint;
    checkpoint.job = renter_job;
    checkpoint.organization = renter;
    checkpoint.attempt = attempt;
    checkpoint.lease = renter_lease;
    checkpoint.lease_epoch = 1;
    checkpoint.bytes = static_cast<std::int64_t>(content.size());
    checkpoint.entries = 1;
    checkpoint.created_at = test_now;
    return checkpoint;
}

Checkpoint save(AccountRows& rows, const std::string& content, std::int32_t attempt = 1) {
    return with(rows, Actor::agent(seller_host), [&](CheckpointStore& store) {
        const std::string name = engine::sha256_hex(content);
        for (const std::string& missing : store.begin(renter, renter_job, {name}))
            REQUIRE(store.put_chunk(renter, renter_job, missing, content, room).ok());
        return store.commit(a_checkpoint(content, attempt), {entry_of(content)}, "[]").value();
    });
}

std::string kept(AccountRows& rows, const Actor& actor) {
    return with(rows, actor, [&](CheckpointStore& store) {
        std::string numbers;
        for (const Checkpoint& checkpoint : store.list(renter_job))
            numbers += std::to_string(checkpoint.number) + " ";
        return numbers;
    });
}

TEST_CASE("the newest of the highest attempt comes first, and two are kept") {
    AccountRows rows;
    const Actor host = Actor::agent(seller_host);
    save(rows, "one", 2);
    save(rows, "late", 1);  // of a lease that the job had left
    CHECK(kept(rows, host) == "1 2 ");
    with(rows, host,
         [](CheckpointStore& store) { CHECK(store.newest(renter_job)->checkpoint.number == 1); });
    save(rows, "two", 2);
    CHECK(kept(rows, host) == "3 1 ");
    save(rows, "three", 3);
    CHECK(kept(rows, host) == "4 3 ");
    CHECK(rows.peek("SELECT count(*) FROM checkpoint_chunks") == "2");
    CHECK(rows.peek("SELECT stored_bytes FROM checkpoint_heads") == "8");
}

TEST_CASE("neither a stranger nor another host sees a job's checkpoints") {
    AccountRows rows;
    save(rows, "one");
    CHECK(kept(rows, Actor::request(renter)) == "1 ");
    for (const Actor& actor : {Actor::request(seller), Actor::agent(other_host)}) {
        CHECK(kept(rows, actor).empty());
        with(rows, actor, [](CheckpointStore& store) {
            CHECK_FALSE(store.read_chunk(renter_job, engine::sha256_hex("one")).ok());
            CHECK_FALSE(store.newest(renter_job).has_value());
        });
    }
    CHECK_THROWS_AS(with(rows, Actor::request(renter),
                         [](CheckpointStore& store) {
                             store.note_problem(renter, renter_job, "a renter saves nothing");
                         }),
                    DatabaseError);
    rows.poke("UPDATE leases SET released = true, state = 'ended', ended_at = 1, end_reason = 'completed'");
    CHECK(kept(rows, Actor::agent(seller_host)).empty());
}

TEST_CASE("an organization's checkpoints are bounded in bytes") {
    AccountRows rows;
    rows.poke(
        "INSERT INTO checkpoint_heads (job_id, organization_id, stored_bytes) VALUES"
        " (gen_random_uuid(), '" +
        format_uuid(renter.raw) + "', " +
        std::to_string(accounts::checkpoint_bytes_per_organization_max - 3) + ")");
    with(rows, Actor::agent(seller_host), [](CheckpointStore& store) {
        const auto put = [&](const std::string& content) {
            return store.put_chunk(renter, renter_job, engine::sha256_hex(content), content, room);
        };
        CHECK(put("abcd").error().code == ErrorCode::limit_reached);
        CHECK(put("abc").ok());
        CHECK(put("x").error().code == ErrorCode::limit_reached);
        CHECK(put("abc").ok());
    });
}

TEST_CASE("what is saved of a job goes 72 hours after its end") {
    AccountRows rows;
    save(rows, "one");
    const auto finish = [&](const std::string& at) {
        rows.poke(
            "DELETE FROM jobs; INSERT INTO jobs (id, organization_id, state, image, max_duration_ms,"
            " attempts_max, attempts, queued_at, finished_at, version, rank, hosts) VALUES ('" +
            format_uuid(renter_job.raw) + "', '" + format_uuid(renter.raw) +
            "', 'failed', 'a', 1000, 1, 1, 0, " + at + ", 1, 0, 1)");
    };
    finish("NULL");
    CHECK(expire(rows.connection, test_now + hours(10'000), 10) == 0);
    finish(std::to_string(test_now.ms));
    CHECK(expire(rows.connection, test_now + hours(72) - Millis(1), 10) == 0);
    CHECK(kept(rows, Actor::request(renter)) == "1 ");
    CHECK(expire(rows.connection, test_now + hours(72), 10) == 1);
    for (const char* table : {"checkpoints", "checkpoint_chunks", "checkpoint_heads"})
        CHECK(rows.peek("SELECT count(*) FROM " + std::string(table)) == "0");
}

}  // namespace
}  // namespace fallow::store

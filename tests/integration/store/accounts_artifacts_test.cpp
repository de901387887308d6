#include <algorithm>
#include <catch2/catch.hpp>

#include "engine/journal.hpp"
#include "integration/store/accounts_rows.hpp"
#include "store/artifacts.hpp"
#include "store/maintenance.hpp"

namespace fallow::store {
namespace {

using accounts::Artifact;
using accounts::ArtifactState;
using accounts::JobOutput;

constexpr std::size_t mib = 1024 * 1024;

/// Octets of every value, different in every part.
std::string content_of(std::size_t bytes) {
    std::string content(bytes, '\0');
    for (std::size_t i = 0; i < bytes; ++i)
        content[i] = static_cast<char>((i * 31 + i / mib) & 0xff);
    return content;
}

Artifact an_artifact(std::uint64_t number, const std::string& content,
                     OrganizationId organization = renter) {
    return accounts::new_artifact(ArtifactId(RawId{0x70, number}), organization, "data.bin",
                                  static_cast<std::int64_t>(content.size()), engine::sha256_hex(content),
                                  test_now);
}

std::string part_of(const std::string& content, std::size_t number) {
    return content.substr(number * mib, mib);
}

std::string code_of(const Error& error) {
    return std::string(name_of(error.code));
}
template <class T>
std::string code_of(const Result<T>& result) {
    return result.ok() ? "ok" : code_of(result.error());
}

/// Runs `work(store)` in a transaction of its own.
template <class Work>
auto with(AccountRows& rows, const Actor& actor, Work&& work, Time now = test_now) {
    return rows.as(actor, [&](Transaction& tx) {
        ArtifactStore store(tx, {"key_test", now});
        return work(store);
    });
}

void upload(AccountRows& rows, const Actor& actor, const Artifact& artifact, const std::string& content) {
    for (std::size_t number = 0; number * mib < content.size(); ++number) {
        with(rows, actor, [&](ArtifactStore& store) {
            REQUIRE(store.put_part(artifact.id, static_cast<std::int32_t>(number), part_of(content, number))
                        .ok());
        });
    }
}

Artifact complete_upload(AccountRows& rows, const Artifact& artifact, const std::string& content) {
    const Actor owner = Actor::request(artifact.organization);
    with(rows, owner, [&](ArtifactStore& store) { REQUIRE(store.create(artifact).ok()); });
    upload(rows, owner, artifact, content);
    return with(rows, owner, [&](ArtifactStore& store) { return store.complete(artifact.id).value(); });
}

TEST_CASE("an artifact of several parts comes back as it went in") {
    AccountRows rows;
    const Actor owner = Actor::request(renter);
    const std::string content = content_of(2 * mib + 777);
    const Artifact artifact = an_artifact(1, content);
    with(rows, owner, [&](ArtifactStore& store) {
        REQUIRE(store.create(artifact).ok());
        CHECK(store.find(artifact.id).value() == artifact);
    });
    // In any order, and one of them twice.
    for (const std::size_t number : {2U, 0U, 0U, 1U}) {
        with(rows, owner, [&](ArtifactStore& store) {
            CHECK(code_of(store.complete(artifact.id)) == "wrong_state");
            CHECK(code_of(store.read_part(artifact.id, 0)) == "wrong_state");
            const auto part = static_cast<std::int32_t>(number);
            CHECK(code_of(store.put_part(artifact.id, part, part_of(content, number))) == "ok");
            const auto missing = store.missing_parts(artifact.id).value();
            CHECK(std::count(missing.begin(), missing.end(), part) == 0);
            CHECK(std::is_sorted(missing.begin(), missing.end()));
        });
    }
    with(rows, owner, [&](ArtifactStore& store) { CHECK(store.missing_parts(artifact.id)->empty()); });
    with(rows, Actor::request(seller),
         [&](ArtifactStore& store) { CHECK(code_of(store.missing_parts(artifact.id)) == "not_found"); });
    const Artifact done = with(
        rows, owner, [&](ArtifactStore& store) { return store.complete(artifact.id).value(); },
        test_now + hours(1));
    CHECK(done.state == ArtifactState::complete);
    CHECK(done.parts_received == 3);
    CHECK(done.expires_at == test_now + hours(73));
    with(rows, owner, [&](ArtifactStore& store) {
        CHECK(store.complete(artifact.id).value() == done);
        for (std::size_t number = 0; number < 3; ++number) {
            CHECK(store.read_part(artifact.id, static_cast<std::int32_t>(number)).value() ==
                  part_of(content, number));
        }
        CHECK(code_of(store.read_part(artifact.id, 3)) == "not_found");
        // A late repeat of the same octets is harmless, another content is refused.
        CHECK(code_of(store.put_part(artifact.id, 2, part_of(content, 2))) == "ok");
        CHECK(code_of(store.put_part(artifact.id, 2, std::string(777, 'x'))) == "wrong_state");
    });
}

TEST_CASE("an empty artifact needs no part") {
    AccountRows rows;
    CHECK(complete_upload(rows, an_artifact(1, ""), "").state == ArtifactState::complete);
}

TEST_CASE("a part of the wrong size or number is refused") {
    AccountRows rows;
    const std::string content = content_of(mib + 1);
    const Artifact artifact = an_artifact(1, content);
    with(rows, Actor::request(renter), [&](ArtifactStore& store) {
        REQUIRE(store.create(artifact).ok());
        CHECK(code_of(store.put_part(artifact.id, 0, std::string(mib - 1, 'x'))) == "invalid_field");
        CHECK(code_of(store.put_part(artifact.id, 1, std::string(2, 'x'))) == "invalid_field");
        CHECK(code_of(store.put_part(artifact.id, 2, "x")) == "not_found");
        CHECK(store.find(artifact.id)->parts_received == 0);
    });
}

TEST_CASE("parts that do not have the stated SHA-256 can be sent again") {
    AccountRows rows;
    const Actor owner = Actor::request(renter);
    const std::string content = content_of(1000);
    const Artifact artifact = an_artifact(1, content);
    with(rows, owner, [&](ArtifactStore& store) {
        REQUIRE(store.create(artifact).ok());
        REQUIRE(store.put_part(artifact.id, 0, std::string(1000, 'x')).ok());
        CHECK(code_of(store.complete(artifact.id)) == "hash_mismatch");
        CHECK(store.find(artifact.id)->state == ArtifactState::uploading);
        REQUIRE(store.put_part(artifact.id, 0, content).ok());
        CHECK(store.find(artifact.id)->parts_received == 1);
        CHECK(code_of(store.complete(artifact.id)) == "ok");
    });
}

TEST_CASE("a stranger's artifact is not there, and an expired one neither") {
    AccountRows rows;
    const std::string content = content_of(10);
    const Artifact artifact = complete_upload(rows, an_artifact(1, content), content);
    const auto check_gone = [&](ArtifactStore& store) {
        CHECK(code_of(store.find(artifact.id)) == "not_found");
        CHECK(code_of(store.put_part(artifact.id, 0, content)) == "not_found");
        CHECK(code_of(store.complete(artifact.id)) == "not_found");
        CHECK(code_of(store.read_part(artifact.id, 0)) == "not_found");
        CHECK(code_of(store.require_complete({artifact.id}, test_now, "/job")) == "not_found");
    };
    with(rows, Actor::request(seller), check_gone);
    with(rows, Actor::agent(other_host), check_gone);
    with(rows, Actor::request(renter), check_gone, artifact.expires_at);
}

TEST_CASE("an organization's artifacts are bounded in bytes and number") {
    AccountRows rows;
    const auto fill = [&](std::int64_t count, std::int64_t bytes) {
        rows.poke(
            "DELETE FROM artifacts; INSERT INTO artifacts (id, organization_id, name, bytes, sha256, state,"
            " created_at, expires_at) SELECT gen_random_uuid(), '" +
            format_uuid(renter.raw) + "', 'a', " + std::to_string(bytes) +
            ", repeat('0', 64), 'uploading', 0, " + std::to_string((test_now + hours(1)).ms) +
            " FROM generate_series(1, " + std::to_string(count) + ")");
    };
    const auto create = [&](std::int64_t bytes, Time now, OrganizationId organization = renter) {
        Artifact artifact = an_artifact(1, "", organization);
        artifact.bytes = bytes;
        return code_of(with(
            rows, Actor::request(organization),
            [&](ArtifactStore& store) { return store.create(artifact); }, now));
    };
    fill(16, limits::artifact_bytes_max);  // 4 GiB
    CHECK(create(1, test_now) == "limit_reached");
    fill(16, limits::artifact_bytes_max - 1);
    CHECK(create(17, test_now) == "limit_reached");
    CHECK(create(16, test_now) == "ok");
    fill(limits::artifacts_per_organization_max, 0);
    CHECK(create(0, test_now) == "limit_reached");
    CHECK(create(0, test_now + hours(1)) == "ok");
    fill(limits::artifacts_per_organization_max, 0);
    CHECK(create(0, test_now, seller) == "ok");
}

TEST_CASE("inputs must be complete and are kept for as long as the order may need them") {
    AccountRows rows;
    const std::string content = content_of(10);
    const Artifact ready = complete_upload(rows, an_artifact(1, content), content);
    const Artifact waiting = an_artifact(2, content);
    with(rows, Actor::request(renter), [&](ArtifactStore& store) {
        REQUIRE(store.create(waiting).ok());
        const auto bad = store.require_complete({ready.id, waiting.id}, test_now, "/job");
        CHECK(code_of(bad) == "wrong_state");
        CHECK(bad.error().pointer == "/job/inputs/1/artifact_id");
        const auto missing = store.require_complete({ArtifactId(RawId{1, 1})}, test_now, "");
        CHECK(code_of(missing) == "not_found");
        CHECK(missing.error().pointer == "/inputs/0/artifact_id");

        CHECK(code_of(store.require_complete({ready.id, ready.id}, test_now + days(9), "/job")) == "ok");
        CHECK(store.find(ready.id)->expires_at == test_now + days(9));
        CHECK(code_of(store.require_complete({ready.id}, test_now + days(1), "/job")) == "ok");
        CHECK(store.find(ready.id)->expires_at == test_now + days(9));
        CHECK(code_of(store.require_complete({}, test_now, "/job")) == "ok");
    });
}

TEST_CASE("an agent hands its job's outputs to the renter") {
    AccountRows rows;
    const Actor agent = Actor::agent(seller_host);
    const std::string content = content_of(mib + 3);
    const JobOutput output{renter_job, 1, renter_lease, "result/model.bin", ArtifactId()};
    const Artifact artifact = an_artifact(1, content);
    with(rows, agent,
         [&](ArtifactStore& store) { CHECK(store.create_output(output, artifact).value() == artifact); });
    // A repeat under another id gets the artifact of the first time.
    with(rows, agent, [&](ArtifactStore& store) {
        CHECK(store.create_output(output, an_artifact(2, content)).value() == artifact);
        CHECK(code_of(store.require_output(renter_job, 1, artifact.id)) == "ok");
        CHECK(code_of(store.require_output(renter_job, 2, artifact.id)) == "not_found");
        CHECK(code_of(store.require_output(renter_job, 1, an_artifact(2, content).id)) == "not_found");
    });
    upload(rows, agent, artifact, content);
    with(rows, agent, [&](ArtifactStore& store) {
        CHECK(code_of(store.complete(artifact.id)) == "ok");
        CHECK(code_of(store.create_output(output, an_artifact(3, "other"))) == "wrong_state");
    });
    with(rows, Actor::request(renter), [&](ArtifactStore& store) {
        const auto outputs = store.list_outputs(renter_job);
        REQUIRE(outputs.size() == 1);
        CHECK(outputs[0].output == JobOutput{renter_job, 1, renter_lease, "result/model.bin", artifact.id});
        CHECK(outputs[0].artifact.state == ArtifactState::complete);
        CHECK(store.read_part(artifact.id, 1).value() == content.substr(mib));
    });
    with(rows, Actor::request(seller),
         [&](ArtifactStore& store) { CHECK(store.list_outputs(renter_job).empty()); });
}

TEST_CASE("an unfinished output that is stated anew is replaced") {
    AccountRows rows;
    const Actor agent = Actor::agent(seller_host);
    const JobOutput output{renter_job, 1, renter_lease, "log", ArtifactId()};
    with(rows, agent, [&](ArtifactStore& store) {
        REQUIRE(store.create_output(output, an_artifact(1, "first")).ok());
        CHECK(store.create_output(output, an_artifact(2, "second")).value() == an_artifact(2, "second"));
        CHECK(code_of(store.find(an_artifact(1, "first").id)) == "not_found");
        CHECK(code_of(store.require_output(renter_job, 1, an_artifact(2, "second").id)) == "ok");
        CHECK(code_of(store.require_output(renter_job, 1, an_artifact(1, "first").id)) == "not_found");
    });
}

TEST_CASE("an agent writes no outputs for a lease that is not its own") {
    AccountRows rows;
    const JobOutput output{renter_job, 1, renter_lease, "log", ArtifactId()};
    CHECK_THROWS_AS(with(rows, Actor::agent(other_host),
                         [&](ArtifactStore& store) {
                             static_cast<void>(store.create_output(output, an_artifact(1, "x")));
                         }),
                    DatabaseError);
    rows.poke("UPDATE leases SET state = 'ended', ended_at = 1, end_reason = 'completed', released = true");
    CHECK_THROWS_AS(with(rows, Actor::agent(seller_host),
                         [&](ArtifactStore& store) {
                             static_cast<void>(store.create_output(output, an_artifact(1, "x")));
                         }),
                    DatabaseError);
    CHECK(rows.peek("SELECT (SELECT count(*) FROM artifacts) + (SELECT count(*) FROM job_outputs)") == "0");
}

TEST_CASE("what has expired is removed with its parts and outputs") {
    AccountRows rows;
    const std::string content = content_of(10);
    const Artifact artifact = an_artifact(1, content);
    const JobOutput output{renter_job, 1, renter_lease, "log", ArtifactId()};
    with(rows, Actor::agent(seller_host), [&](ArtifactStore& store) {
        REQUIRE(store.create_output(output, artifact).ok());
        REQUIRE(store.put_part(artifact.id, 0, content).ok());
    });
    complete_upload(rows, an_artifact(2, content), content);
    with(rows, Actor::request(renter), [&](ArtifactStore& store) {
        REQUIRE(store.require_complete({an_artifact(2, content).id}, test_now + days(9), "").ok());
    });
    const std::string left =
        "SELECT concat_ws(' ', (SELECT count(*) FROM artifacts), (SELECT count(*) FROM"
        " artifact_parts), (SELECT count(*) FROM job_outputs))";
    CHECK(expire(rows.connection, artifact.expires_at - Millis(1), 100) == 0);
    CHECK(rows.peek(left) == "2 2 1");
    CHECK(expire(rows.connection, artifact.expires_at, 100) == 1);
    CHECK(rows.peek(left) == "1 1 0");
    CHECK(expire(rows.connection, test_now + days(9), 100) == 1);
    CHECK(rows.peek(left) == "0 0 0");
}

}  // namespace
}  // namespace fallow::store

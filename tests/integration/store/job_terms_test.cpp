// Secrets and saved outputs in a real database: who sees what, and what a repetition, a late upload and a
// change cost.
#include <catch2/catch.hpp>

#include "engine/journal.hpp"
#include "integration/store/accounts_rows.hpp"
#include "store/artifacts.hpp"
#include "store/maintenance.hpp"
#include "store/saved_outputs.hpp"
#include "store/secrets.hpp"

namespace fallow::store {
namespace {

using accounts::OutputFile;
using accounts::OutputUpload;
using accounts::Secret;
using accounts::SecretId;

Secret a_secret(std::uint64_t number, const std::string& name) {
    return {SecretId(RawId{0x70, number}), renter, name, 1, test_now, test_now};
}

accounts::SealedSecret sealed_as(char c, const std::string& key = "key 1") {
    return {key, std::string(60, c), std::string(29, c)};
}

Result<Secret> set(AccountRows& rows, const Secret& fresh, char c) {
    return rows.as(Actor::request(renter), [&](Transaction& tx) {
        SecretStore store(tx, test_author);
        auto secret = store.next_version(fresh);
        if (secret) store.write(*secret, sealed_as(c));
        return secret;
    });
}

/// What the host that prepares the job is given.
std::string given(AccountRows& rows, HostId host, const std::vector<std::string>& names) {
    return rows.as(Actor::agent(host), [&](Transaction& tx) {
        std::string text;
        for (const StoredSecret& stored : SecretStore(tx, test_author).read(names))
            text += stored.secret.name + "=" + stored.sealed.sealed.substr(0, 1) + " ";
        return text;
    });
}

void prepare_job_with(AccountRows& rows, const std::string& document) {
    rows.poke("UPDATE leases SET state = 'preparing', preparing_at = 1");
    rows.poke(
        "INSERT INTO jobs (id, organization_id, state, lease_id, image, max_duration_ms, attempts_max,"
        " attempts, queued_at, version) VALUES ('" +
        format_uuid(renter_job.raw) + "', '" + format_uuid(renter.raw) + "', 'assigned', '" +
        format_uuid(renter_lease.raw) + "', 'i', 1, 1, 1, 1, 1)");
    rows.poke("INSERT INTO job_specs VALUES ('" + format_uuid(renter_job.raw) + "', '" +
              format_uuid(renter.raw) + "', '" + document + "')");
}

TEST_CASE("a secret is told to the host that prepares a job which names it, and to nobody else") {
    AccountRows rows;
    prepare_job_with(rows, R"({"secrets": ["token"]})");
    REQUIRE(set(rows, a_secret(1, "token"), 'a').ok());
    REQUIRE(set(rows, a_secret(2, "other"), 'b').ok());
    CHECK(given(rows, seller_host, {"token", "other"}) == "token=a ");
    CHECK(given(rows, other_host, {"token", "other"}).empty());
    rows.poke("UPDATE leases SET state = 'running', running_at = 1");
    CHECK(given(rows, seller_host, {"token"}).empty());
    rows.poke("UPDATE leases SET state = 'preparing'");
    rows.poke("UPDATE jobs SET lease_id = gen_random_uuid()");
    CHECK(given(rows, seller_host, {"token"}).empty());
}

TEST_CASE("the secret that a job's image is pulled with is told to its host as well") {
    AccountRows rows;
    prepare_job_with(rows, R"({"secrets": ["token"], "registry_secret": "pull"})");
    REQUIRE(set(rows, a_secret(1, "token"), 'a').ok());
    REQUIRE(set(rows, a_secret(2, "pull"), 'b').ok());
    REQUIRE(set(rows, a_secret(3, "other"), 'c').ok());
    CHECK(given(rows, seller_host, {"token", "pull", "other"}) == "pull=b token=a ");
    CHECK(given(rows, other_host, {"token", "pull", "other"}).empty());
    rows.poke("UPDATE leases SET state = 'running', running_at = 1");
    CHECK(given(rows, seller_host, {"pull"}).empty());
}

TEST_CASE("a secret that is set again has another version and keeps its id") {
    AccountRows rows;
    REQUIRE(set(rows, a_secret(1, "token"), 'a').ok());
    const auto again = set(rows, a_secret(2, "token"), 'b');
    REQUIRE(again.ok());
    CHECK(again->id == a_secret(1, "").id);
    CHECK(again->version == 2);
    CHECK(rows.peek("SELECT count(*) FROM secrets WHERE sealed = decode(repeat('62', 29), 'hex')") == "1");
    CHECK(rows.peek("SELECT count(*) FROM journal WHERE record::text LIKE '%sealed%'") == "0");
    rows.as(Actor::request(renter), [&](Transaction& tx) {
        SecretStore store(tx, test_author);
        CHECK(store.require({"token"}, "").ok());
        CHECK(store.require({"token", "gone"}, "/job").error().pointer == "/job/secrets/1");
        CHECK(store.require_one("token", "/job/registry_secret").ok());
        CHECK(store.require_one("gone", "/job/registry_secret").error().pointer == "/job/registry_secret");
        CHECK(store.remove("token").ok());
        CHECK(store.remove("token").error().code == ErrorCode::not_found);
    });
}

TEST_CASE("an organization keeps a bounded number of secrets") {
    AccountRows rows;
    rows.poke("INSERT INTO secrets SELECT gen_random_uuid(), '" + format_uuid(renter.raw) +
              "', 's' || n, 1, 1, 1, 'k', decode(repeat('00', 60), 'hex'), decode(repeat('00', 29), 'hex')"
              " FROM generate_series(1, 99) AS n");
    CHECK(set(rows, a_secret(1, "hundredth"), 'a').ok());
    CHECK(set(rows, a_secret(2, "one-more"), 'a').error().code == ErrorCode::limit_reached);
    CHECK(set(rows, a_secret(3, "s7"), 'a').ok());
}

TEST_CASE("secrets under an older key are brought under the newer one") {
    AccountRows rows;
    REQUIRE(set(rows, a_secret(1, "one"), 'a').ok());
    REQUIRE(set(rows, a_secret(2, "two"), 'b').ok());
    const auto rewrap = [&](const std::string& key) {
        return rows.as(Actor::engine(), [&](Transaction& tx) {
            return rewrap_secrets(tx, key, 100, [&](const Secret& secret, const auto&) {
                return secret.name == "two" ? std::nullopt : std::optional(sealed_as('z', key));
            });
        });
    };
    const Rewrapped done = rewrap("key 2");
    CHECK(done.rewrapped == 1);
    CHECK(done.unopened == 1);
    CHECK(rows.peek("SELECT string_agg(name || ':' || key_id, ' ' ORDER BY name) FROM secrets") ==
          "one:key 2 two:key 1");
    CHECK(rows.peek("SELECT count(*) FROM secrets WHERE sealed = decode(repeat('61', 29), 'hex')") == "1");
    rows.as(Actor::engine(), [](Transaction& tx) { CHECK(secret_keys_in_use(tx).size() == 2); });
}

// --- outputs

OutputFile a_file(const std::string& path, const std::string& content) {
    const std::string digest = engine::sha256_hex(content);
    return {path, static_cast<std::int64_t>(content.size()), digest, {digest}};
}

OutputUpload an_upload(std::int64_t sequence, const std::vector<OutputFile>& files) {
    OutputUpload upload;
    upload.organization = renter;
    upload.job = renter_job;
    upload.lease = renter_lease;
    upload.sequence = sequence;
    upload.keep_until = test_now + hours(73);
    upload.files = files;
    return upload;
}

/// Runs `work(store)` as the host, in a transaction of its own.
template <class Work>
auto as_host(AccountRows& rows, Work&& work) {
    return rows.as(Actor::agent(seller_host), [&](Transaction& tx) {
        SavedOutputStore store(tx, {"host_test", test_now});
        return work(store);
    });
}

Status commit(AccountRows& rows, const OutputUpload& upload) {
    static std::uint64_t made = 0;
    return as_host(rows, [&](SavedOutputStore& store) {
        return store.commit(upload, [] { return ArtifactId(RawId{0x90, ++made}); });
    });
}

/// Sends what is missing; how many chunks that were.
std::size_t send(AccountRows& rows, const OutputUpload& upload, const std::vector<std::string>& contents) {
    const auto missing = as_host(rows, [&](SavedOutputStore& store) { return store.begin(upload); });
    for (const std::string& content : contents)
        if (std::ranges::find(missing, engine::sha256_hex(content)) != missing.end())
            as_host(rows, [&](SavedOutputStore& store) {
                CHECK(store.put_chunk(renter, renter_job, engine::sha256_hex(content), content).ok());
            });
    return missing.size();
}

std::string content_of(AccountRows& rows, const std::string& path) {
    return rows.as(Actor::request(renter), [&](Transaction& tx) {
        ArtifactStore store(tx, test_author);
        for (const auto& output : store.list_outputs(renter_job))
            if (output.output.path == path) return store.read_part(output.artifact.id, 0).value();
        return std::string("none");
    });
}

TEST_CASE("outputs that are saved are artifacts, and what has not changed is sent and stored once") {
    AccountRows rows;
    const auto first = an_upload(1, {a_file("a", "same"), a_file("b", "old")});
    CHECK(send(rows, first, {"same", "old"}) == 2);
    REQUIRE(commit(rows, first).ok());
    CHECK(content_of(rows, "a") == "same");
    const std::string kept = rows.peek("SELECT artifact_id FROM job_outputs WHERE path = 'a'");

    const auto second = an_upload(2, {a_file("a", "same"), a_file("b", "new")});
    CHECK(send(rows, second, {"new"}) == 1);
    REQUIRE(commit(rows, second).ok());
    CHECK(content_of(rows, "b") == "new");
    CHECK(rows.peek("SELECT artifact_id FROM job_outputs WHERE path = 'a'") == kept);
    rows.as(Actor::engine(), [](Transaction&) {});
    CHECK(rows.peek("SELECT count(*) FROM job_outputs") == "2");

    // The replaced one goes with its expiry, and its chunk with the next upload.
    {
        Connection engine({.url = rows.url});
        CHECK(expire(engine, test_now, 100) == 1);
    }
    CHECK(send(rows, an_upload(3, {a_file("a", "same")}), {}) == 0);
    CHECK(rows.peek("SELECT count(*) FROM output_chunks") == "2");
    CHECK(content_of(rows, "b") == "new");
}

TEST_CASE("an upload that comes late, or whose chunks have not come, changes nothing") {
    AccountRows rows;
    send(rows, an_upload(5, {a_file("a", "five")}), {"five"});
    REQUIRE(commit(rows, an_upload(5, {a_file("a", "five")})).ok());
    send(rows, an_upload(4, {a_file("a", "four")}), {"four"});
    CHECK(commit(rows, an_upload(4, {a_file("a", "four")})).error().pointer == "/sequence");
    CHECK(commit(rows, an_upload(5, {a_file("a", "five")})).error().code == ErrorCode::wrong_state);
    CHECK(commit(rows, an_upload(6, {a_file("a", "six")})).error().pointer == "/files/0/chunks");
    CHECK(content_of(rows, "a") == "five");
    REQUIRE(commit(rows, an_upload(7, {{"a", 0, std::string(64, 'e'), {}}})).ok());
    CHECK(rows.peek("SELECT bytes FROM artifacts a JOIN job_outputs o ON o.artifact_id = a.id") == "0");
}

TEST_CASE("an output that is another job's input outlives its own job's chunks") {
    AccountRows rows;
    send(rows, an_upload(1, {a_file("a", "text")}), {"text"});
    REQUIRE(commit(rows, an_upload(1, {a_file("a", "text")})).ok());
    const auto artifact = rows.as(Actor::request(renter), [&](Transaction& tx) {
        ArtifactStore store(tx, test_author);
        const ArtifactId id = store.list_outputs(renter_job)[0].artifact.id;
        CHECK(store.require_complete({id}, test_now + days(30), "").ok());
        return id;
    });
    prepare_job_with(rows, "{}");
    rows.poke("UPDATE jobs SET state = 'failed', finished_at = 1");
    {
        Connection engine({.url = rows.url});
        CHECK(expire(engine, test_now, 100) == 1);
    }
    CHECK(rows.peek("SELECT count(*) FROM output_chunks") == "0");
    CHECK(rows.as(Actor::request(renter), [&](Transaction& tx) {
        return ArtifactStore(tx, test_author).read_part(artifact, 0).value();
    }) == "text");
}

TEST_CASE("nobody but the job's own host saves outputs, or sees their chunks") {
    AccountRows rows;
    send(rows, an_upload(1, {a_file("a", "text")}), {"text"});
    const auto count = [&](const Actor& actor) {
        return rows.as(actor, [](Transaction& tx) {
            return std::string(tx.exec("SELECT count(*) FROM output_chunks")[0][0].c_str());
        });
    };
    CHECK(count(Actor::request(renter)) == "1");
    CHECK(count(Actor::request(seller)) == "0");
    CHECK(count(Actor::agent(seller_host)) == "1");
    CHECK(count(Actor::agent(other_host)) == "0");
    CHECK_THROWS_AS(
        rows.as(Actor::agent(other_host),
                [](Transaction& tx) {
                    static_cast<void>(
                        SavedOutputStore(tx, test_author).begin(an_upload(2, {a_file("a", "x")})));
                }),
        DatabaseError);
}

}  // namespace
}  // namespace fallow::store

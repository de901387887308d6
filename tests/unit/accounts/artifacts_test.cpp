#include "accounts/artifacts.hpp"

#include <catch2/catch.hpp>
#include <numeric>
#include <string>
#include <vector>

namespace fallow::accounts {
namespace {

constexpr std::int64_t mib = 1024 * 1024;

std::string outcome_of(const Status& status) {
    return status.ok() ? "ok" : std::string(name_of(status.error().code)) + " " + status.error().pointer;
}

TEST_CASE("an artifact is cut into parts of one MiB and a rest") {
    struct Row {
        std::int64_t bytes;
        std::vector<std::int64_t> sizes;
    };
    const std::vector<Row> rows = {
        {0, {}},
        {1, {1}},
        {mib - 1, {mib - 1}},
        {mib, {mib}},
        {mib + 1, {mib, 1}},
        {3 * mib, {mib, mib, mib}},
    };
    for (const Row& row : rows) {
        CAPTURE(row.bytes);
        CHECK(part_count(row.bytes) == static_cast<std::int32_t>(row.sizes.size()));
        for (std::size_t i = 0; i < row.sizes.size(); ++i) {
            CHECK(part_size(row.bytes, static_cast<std::int32_t>(i)) == row.sizes[i]);
        }
        CHECK_FALSE(part_size(row.bytes, part_count(row.bytes)).has_value());
        CHECK_FALSE(part_size(row.bytes, -1).has_value());
    }
}

TEST_CASE("the parts of the largest artifact add up to it") {
    const std::int64_t bytes = limits::artifact_bytes_max - 17;
    std::int64_t sum = 0;
    for (std::int32_t i = 0; i < part_count(bytes); ++i)
        sum += part_size(bytes, i).value();
    CHECK(sum == bytes);
}

TEST_CASE("a part has exactly its size") {
    Artifact artifact;
    artifact.bytes = mib + 5;
    CHECK(outcome_of(check_part(artifact, 0, mib)) == "ok");
    CHECK(outcome_of(check_part(artifact, 1, 5)) == "ok");
    CHECK(outcome_of(check_part(artifact, 0, mib - 1)) == "invalid_field ");
    CHECK(outcome_of(check_part(artifact, 1, mib)) == "invalid_field ");
    CHECK(outcome_of(check_part(artifact, 1, 0)) == "invalid_field ");
    CHECK(outcome_of(check_part(artifact, 2, 5)) == "not_found ");
    CHECK(outcome_of(check_part(artifact, -1, 5)) == "not_found ");
}

TEST_CASE("an artifact states a size and a SHA-256") {
    CHECK(outcome_of(check_artifact_bytes(0)) == "ok");
    CHECK(outcome_of(check_artifact_bytes(limits::artifact_bytes_max)) == "ok");
    CHECK(outcome_of(check_artifact_bytes(-1)) == "invalid_field /bytes");
    CHECK(outcome_of(check_artifact_bytes(limits::artifact_bytes_max + 1)) == "invalid_field /bytes");
    CHECK(outcome_of(check_sha256(std::string(64, 'a'))) == "ok");
    for (const std::string& bad : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                                   std::string(64, 'g'), std::string()}) {
        CHECK(outcome_of(check_sha256(bad)) == "invalid_field /sha256");
    }
}

TEST_CASE("a job's path stays inside its folder") {
    for (const std::string good :
         {"a", "model.bin", "dir/file", "a/b/c", "..a", ".hidden", "a..b", "a b", "\xc3\xa4"}) {
        CAPTURE(good);
        CHECK(outcome_of(check_job_path(good)) == "ok");
    }
    for (const std::string& bad :
         {std::string(""), std::string("/"), std::string("/etc/passwd"), std::string("a/"),
          std::string("a//b"), std::string("."), std::string(".."), std::string("a/../b"),
          std::string("a/./b"), std::string("a/.."), std::string("a\\b"), std::string("a\nb"),
          std::string("a\0b", 3), std::string("\xff"),
          std::string(limits::text_field_bytes_max + 1, 'x')}) {
        CAPTURE(bad);
        CHECK(outcome_of(check_job_path(bad, "/outputs/0")) == "invalid_field /outputs/0");
    }
}

TEST_CASE("a new artifact waits for its parts and ends after 72 hours") {
    const Artifact artifact = new_artifact(ArtifactId(RawId{1, 1}), OrganizationId(RawId{2, 2}), "weights",
                                           7, std::string(64, '0'), Time(1000));
    CHECK(artifact.state == ArtifactState::uploading);
    CHECK(artifact.parts_received == 0);
    CHECK(artifact.bytes == 7);
    CHECK(artifact.expires_at == Time(1000) + hours(72));
}

}  // namespace
}  // namespace fallow::accounts

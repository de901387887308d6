#include "fallow/artifacts.hpp"

#include <catch2/catch.hpp>

#include "fallow/client.hpp"
#include "fallow/digest.hpp"
#include "fallow/json.hpp"
#include "unit/sdk/fake_environment.hpp"
#include "unit/sdk/scripted_server.hpp"
#include "unit/sdk/temporary_folder.hpp"

namespace fallow::sdk {
namespace {

using testing::broken;
using testing::FakeEnvironment;
using testing::json;
using testing::problem;
using testing::read_file;
using testing::reply;
using testing::ScriptedReply;
using testing::ScriptedServer;
using testing::TemporaryFolder;

Artifact artifact_of(const std::string& content) {
    Artifact artifact;
    artifact.id = "artifact_1";
    artifact.bytes = static_cast<std::int64_t>(content.size());
    artifact.sha256 = sha256_hex(content);
    return artifact;
}

struct Bench {
    explicit Bench(std::vector<ScriptedReply> script)
        : server(std::move(script)),
          client({.url = server.url(), .ca_file = {}, .api_key = "k", .user_agent = "test", .retry = {}},
                 environment) {}

    ScriptedServer server;
    FakeEnvironment environment;
    Client client;
    TemporaryFolder folder;
};

const std::string large(static_cast<std::size_t>(artifact_part_bytes) + 5, 'x');

constexpr auto attempts = static_cast<std::size_t>(RetryPolicy{}.attempts_max);
const ScriptedReply none = json(200, R"({"items":[],"next_cursor":null})");

TEST_CASE("a file goes up in parts of 1 MiB") {
    const std::string created = to_json(artifact_of(large));
    Bench bench({none, json(201, created), reply(204, ""), broken(), reply(204, ""), json(200, created)});
    CHECK(upload_file(bench.client, bench.folder.write("in", large), "in.bin").id == "artifact_1");
    const auto sent = bench.server.requests();
    REQUIRE(sent.size() == 6);
    CHECK(sent[0].line() == "GET /v1/artifacts?sha256=" + sha256_hex(large) + "&limit=100 HTTP/1.1");
    CHECK(sent[1].body == R"({"name":"in.bin","bytes":1048581,"sha256":")" + sha256_hex(large) + "\"}");
    CHECK(sent[2].line() == "PUT /v1/artifacts/artifact_1/parts/0 HTTP/1.1");
    CHECK(sent[2].header("Content-Type") == "application/octet-stream");
    CHECK(sent[2].body.size() == static_cast<std::size_t>(artifact_part_bytes));
    CHECK(sent[4].line() == "PUT /v1/artifacts/artifact_1/parts/1 HTTP/1.1");
    CHECK(sent[4].body == "xxxxx");
    CHECK(sent[5].line() == "POST /v1/artifacts/artifact_1/complete HTTP/1.1");
}

/// What the server has of an upload of `large` as "in.bin".
Artifact begun_upload() {
    Artifact begun = artifact_of(large);
    begun.name = "in.bin";
    begun.state = "uploading";
    begun.parts_received = 1;
    return begun;
}

TEST_CASE("of an upload that was broken off only what is missing is sent") {
    const std::string begun = to_json(begun_upload());
    Bench bench({json(200, R"({"items":[)" + begun + R"(],"next_cursor":null})"),
                 json(200, R"({"missing":[1]})"), reply(204, ""), json(200, begun)});
    std::vector<std::int64_t> told;
    const auto tell = [&](std::int64_t done, std::int64_t total) {
        told.push_back(done);
        CHECK(total == std::ssize(large));
    };
    CHECK(upload_file(bench.client, bench.folder.write("in", large), "in.bin", tell).id == "artifact_1");
    CHECK(told == std::vector{std::ssize(large)});
    const auto sent = bench.server.requests();
    REQUIRE(sent.size() == 4);
    CHECK(sent[1].line() == "GET /v1/artifacts/artifact_1/missing-parts HTTP/1.1");
    CHECK(sent[2].line() == "PUT /v1/artifacts/artifact_1/parts/1 HTTP/1.1");
    CHECK(sent[2].body == "xxxxx");
}

TEST_CASE("what is left of an upload is sent anew when it is not what was stated") {
    const std::string begun = to_json(begun_upload());
    Bench bench({json(200, R"({"items":[)" + begun + R"(],"next_cursor":null})"),
                 json(200, R"({"missing":[1]})"), reply(204, ""), problem(422, "hash_mismatch", false),
                 reply(204, ""), reply(204, ""), json(200, begun)});
    CHECK(upload_file(bench.client, bench.folder.write("in", large), "in.bin").id == "artifact_1");
    CHECK(bench.server.requests().size() == 7);
}

TEST_CASE("another file's upload is not gone on with, nor a complete one") {
    Artifact other = begun_upload();
    const std::string what = GENERATE("name", "complete", "nothing there");
    if (what == "name") other.name = "out.bin";
    if (what == "complete") other.state = "complete";
    if (what == "nothing there") other.parts_received = 0;
    const std::string created = to_json(artifact_of(large));
    Bench bench({json(200, R"({"items":[)" + to_json(other) + R"(],"next_cursor":null})"),
                 json(201, created), reply(204, ""), reply(204, ""), json(200, created)});
    static_cast<void>(upload_file(bench.client, bench.folder.write("in", large), "in.bin"));
    CHECK(bench.server.requests().size() == 5);
}

TEST_CASE("a key that may not read uploads all the same") {
    const std::string created = to_json(artifact_of(large));
    Bench bench({problem(403, "scope_missing", false), json(201, created), reply(204, ""), reply(204, ""),
                 json(200, created)});
    CHECK(upload_file(bench.client, bench.folder.write("in", large), "in.bin").id == "artifact_1");
}

TEST_CASE("an empty file has no parts") {
    const std::string created = to_json(artifact_of(""));
    Bench bench({json(201, created), json(200, created)});
    static_cast<void>(upload_file(bench.client, bench.folder.write("in", ""), "in"));
    CHECK(bench.server.requests().size() == 2);
}

TEST_CASE("what cannot be read is not uploaded") {
    Bench bench({});
    CHECK_THROWS_AS(upload_file(bench.client, bench.folder.path() / "missing", "x"), std::system_error);
    CHECK_THROWS_AS(upload_file(bench.client, bench.folder.path(), "x"), std::system_error);
    CHECK(bench.server.requests().empty());
}

TEST_CASE("a file comes down whole") {
    Bench bench({reply(200, large.substr(0, artifact_part_bytes)), reply(200, "xxxxx")});
    std::vector<std::int64_t> told;
    download_file(bench.client, artifact_of(large), bench.folder.path() / "out",
                  [&](std::int64_t done, std::int64_t) { told.push_back(done); });
    CHECK(told == std::vector<std::int64_t>{artifact_part_bytes, std::ssize(large)});
    CHECK(read_file(bench.folder.path() / "out") == large);
    CHECK(bench.folder.entries() == 1);
}

TEST_CASE("a download that was broken off goes on from its last whole part") {
    std::vector<ScriptedReply> script = {reply(200, large.substr(0, artifact_part_bytes))};
    script.insert(script.end(), attempts, problem(503, "draining", true));
    script.push_back(reply(200, "xxxxx"));
    Bench bench(script);
    const auto target = bench.folder.path() / "out";
    CHECK_THROWS_AS(download_file(bench.client, artifact_of(large), target), ApiError);
    CHECK(bench.folder.entries() == 1);
    download_file(bench.client, artifact_of(large), target);
    CHECK(read_file(target) == large);
    CHECK(bench.folder.entries() == 1);
    CHECK(bench.server.requests().back().line() == "GET /v1/artifacts/artifact_1/parts/1 HTTP/1.1");
}

TEST_CASE("an artifact of another content begins anew, and so does what was spoilt on the disk") {
    std::vector<ScriptedReply> script = {reply(200, large.substr(0, artifact_part_bytes))};
    script.insert(script.end(), attempts, problem(503, "draining", true));
    const std::string other(large.size(), 'y');
    const bool is_spoilt = GENERATE(true, false);
    const std::string& wanted = is_spoilt ? large : other;
    if (is_spoilt) script.push_back(reply(200, "xxxxx"));
    script.push_back(reply(200, wanted.substr(0, artifact_part_bytes)));
    script.push_back(reply(200, wanted.substr(artifact_part_bytes)));
    Bench bench(script);
    const auto target = bench.folder.path() / "out";
    CHECK_THROWS_AS(download_file(bench.client, artifact_of(large), target), ApiError);
    for (const auto& left : std::filesystem::directory_iterator(bench.folder.path()))
        if (is_spoilt) std::fstream(left.path()).write("z", 1);
    download_file(bench.client, artifact_of(wanted), target);
    CHECK(read_file(target) == wanted);
    CHECK(bench.server.requests().size() == script.size());
}

TEST_CASE("a download that is not the artifact leaves nothing, and the old file as it was") {
    const std::string reply_body = GENERATE("abd", "ab", "abcd");
    Bench bench({reply(200, reply_body)});
    const auto target = bench.folder.write("out", "old");
    CHECK_THROWS_AS(download_file(bench.client, artifact_of("abc"), target), ProtocolError);
    CHECK(read_file(target) == "old");
    CHECK(bench.folder.entries() == 1);
}

TEST_CASE("an output's path stays below its folder") {
    CHECK(path_below("/f", "a/b.txt") == "/f/a/b.txt");
    CHECK(path_below("/f", "..a") == "/f/..a");
    const std::string path =
        GENERATE("", "/etc/passwd", "..", "../x", "a/../../x", "a/..", ".", "a//b/../c", "a/");
    CAPTURE(path);
    CHECK_THROWS_AS(path_below("/f", path), ProtocolError);
}

}  // namespace
}  // namespace fallow::sdk

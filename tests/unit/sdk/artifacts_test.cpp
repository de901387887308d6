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

TEST_CASE("a file goes up in parts of 1 MiB") {
    const std::string created = to_json(artifact_of(large));
    Bench bench({json(201, created), reply(204, ""), broken(), reply(204, ""), json(200, created)});
    CHECK(upload_file(bench.client, bench.folder.write("in", large), "in.bin").id == "artifact_1");
    const auto sent = bench.server.requests();
    REQUIRE(sent.size() == 5);
    CHECK(sent[0].body == R"({"name":"in.bin","bytes":1048581,"sha256":")" + sha256_hex(large) + "\"}");
    CHECK(sent[1].line() == "PUT /v1/artifacts/artifact_1/parts/0 HTTP/1.1");
    CHECK(sent[1].header("Content-Type") == "application/octet-stream");
    CHECK(sent[1].body.size() == static_cast<std::size_t>(artifact_part_bytes));
    CHECK(sent[3].line() == "PUT /v1/artifacts/artifact_1/parts/1 HTTP/1.1");
    CHECK(sent[3].body == "xxxxx");
    CHECK(sent[4].line() == "POST /v1/artifacts/artifact_1/complete HTTP/1.1");
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
    download_file(bench.client, artifact_of(large), bench.folder.path() / "out");
    CHECK(read_file(bench.folder.path() / "out") == large);
    CHECK(bench.folder.entries() == 1);
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

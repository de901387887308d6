// What a private image needs on a host: what its registry is told, whose it is, and which are remembered.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "agent/image_reference.hpp"
#include "agent/lease_json.hpp"
#include "agent/private_images.hpp"
#include "agent/registry_login.hpp"
#include "agent/state.hpp"
#include "fallow/digest.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

/// What the engine reads in the header; nothing when there is none.
nlohmann::json told(const std::string& secret, const std::string& registry = "r.example:5000") {
    auto header = registry_auth(secret, registry);
    if (!header) return nullptr;
    CHECK(header->find_first_of("+/") == std::string::npos);
    std::ranges::replace(*header, '-', '+');
    std::ranges::replace(*header, '_', '/');
    const auto text = fallow::sdk::base64_decode(*header);
    REQUIRE(text);
    return nlohmann::json::parse(*text);
}

nlohmann::json login(const std::string& username, const std::string& password,
                     const std::string& address = "r.example:5000") {
    return {{"username", username}, {"password", password}, {"serveraddress", address}};
}

}  // namespace

TEST_CASE("a secret becomes what the engine tells the registry") {
    CHECK(told("user:pass word:1") == login("user", "pass word:1"));
    CHECK(told("user:token\n") == login("user", "token"));
    CHECK(told("user:token\r\n") == login("user", "token"));
    CHECK(told(R"({"username": "u", "password": "p\nq", "more": 1})") == login("u", "p\nq"));
    CHECK(told("u:p", "docker.io") == login("u", "p", "https://index.docker.io/v1/"));
    const nlohmann::json token = {{"identitytoken", "t"}, {"serveraddress", "r.example:5000"}};
    CHECK(told(R"( {"identitytoken": "t", "username": "u", "password": "p"})") == token);
    const std::string password = std::string(6, '?') + std::string(6, '>');  // "/" and "+" in base64
    CHECK(told("u:" + password) == login("u", password));
}

TEST_CASE("what is no login is none") {
    const auto secret =
        GENERATE(as<std::string>{}, "", "user", "user:", ":password", "\n", "two:lines\nmore", "{", "{}",
                 R"({"username": "u"})", R"({"username": "u", "password": ""})",
                 R"({"username": 1, "password": "p"})", R"(["u", "p"])", "u:\xff\xfe");
    CAPTURE(secret);
    CHECK(told(secret).is_null());
}

TEST_CASE("a lease's record keeps the name of the login") {
    LeaseRecord record;
    record.desired.lease_id = "lease_00000000000000000000000001";
    record.desired.spec = JobSpec{};
    record.desired.spec->image = "r.example/a:1";
    record.desired.spec->registry_secret = "pull";
    CHECK(parse_record(encode_record(record)) == record);
}

TEST_CASE("a login is overwritten") {
    std::string text = "a secret that is longer than a small string";
    const char* const where = text.data();
    wipe(text);
    CHECK(text.empty());
    CHECK(where[1] == '\0');
}

TEST_CASE("the repository of a reference, as the engines read it") {
    struct Row {
        const char* reference;
        const char* repository;
    };
    for (const Row& row :
         {Row{"busybox", "docker.io/library/busybox"}, Row{"busybox:1.36", "docker.io/library/busybox"},
          Row{"team/model", "docker.io/team/model"}, Row{"docker.io/busybox", "docker.io/library/busybox"},
          Row{"index.docker.io/team/model:1", "docker.io/team/model"},
          Row{"localhost/made-here:1", "localhost/made-here"},
          Row{"127.0.0.1:5000/team/model:1", "127.0.0.1:5000/team/model"},
          Row{"127.0.0.1:5000/team/model", "127.0.0.1:5000/team/model"},
          Row{"R.Example/a/b/c@sha256:0123", "r.example/a/b/c"},
          Row{"r.example/a:1@sha256:0123", "r.example/a"},
          Row{"registry:5000", "docker.io/library/registry"}}) {
        INFO(row.reference);
        CHECK(repository_of(row.reference) == row.repository);
    }
    CHECK(registry_of("127.0.0.1:5000/team/model:1") == "127.0.0.1:5000");
    CHECK(registry_of("team/model") == "docker.io");
}

TEST_CASE("a digest is told from a tag") {
    for (const char* reference : {"r.example/a@sha256:0123", "r.example/a:1@sha256:0123"})
        CHECK(names_a_digest(reference));
    for (const char* reference : {"busybox", "r.example:5000/a", "r.example/a:1"})
        CHECK_FALSE(names_a_digest(reference));
}

TEST_CASE("an id is told from a name") {
    const std::string id = "sha256:cafe0123456789";
    CHECK(is_image_id("cafe0123456789", id));
    CHECK(is_image_id("cafe", id));
    CHECK(is_image_id("cafe", id.substr(7)));
    CHECK(is_image_id("sha256:cafe", id));
    CHECK(is_image_id("sha256:0000", id));
    CHECK_FALSE(is_image_id("beef", id));
    CHECK_FALSE(is_image_id("cafe:1", id));
    CHECK_FALSE(is_image_id("docker.io/library/cafe", id));
    CHECK_FALSE(is_image_id("r.example/a@sha256:cafe0123456789", id));
}

TEST_CASE("a repository is remembered from before a pull with a login, unless nothing came of it") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "private-images";
    PrivateImages images(file);
    CHECK_FALSE(images.holds("r.example/a"));
    images.begin("r.example/a");
    CHECK(images.holds("r.example/a"));
    CHECK(PrivateImages(file).holds("r.example/a"));  // an agent that was killed in the pull
    images.begin("r.example/a");
    images.end("r.example/a", false);
    CHECK(PrivateImages(file).holds("r.example/a"));  // the other pull goes on
    images.end("r.example/a", false);
    CHECK_FALSE(images.holds("r.example/a"));
    CHECK_FALSE(PrivateImages(file).holds("r.example/a"));

    images.begin("r.example/b");
    images.end("r.example/b", true);
    images.begin("r.example/b");
    images.end("r.example/b", false);
    CHECK(images.holds("r.example/b"));
    CHECK(read_file(file) == "r.example/b\n");
}

TEST_CASE("a host remembers a bounded number of private repositories") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "private-images";
    std::string text;
    for (int i = 0; i < 4095; ++i)
        text += "r.example/" + std::to_string(i) + "\n";
    write_file_atomically(file, text);
    PrivateImages images(file);
    images.begin("r.example/last");
    CHECK_THROWS_WITH(images.begin("r.example/more"), Catch::Contains("as many as it can"));
    CHECK_FALSE(images.holds("r.example/more"));
    images.begin("r.example/7");
    images.end("r.example/7", true);
}

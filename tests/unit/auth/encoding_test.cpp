// Base64, hexadecimal, SHA-256 and random bytes.
#include <catch2/catch.hpp>
#include <set>

#include "auth/base64.hpp"
#include "auth/random.hpp"
#include "auth/sha256.hpp"

using namespace fallow::auth;

TEST_CASE("base64 agrees with RFC 4648 section 10", "[base64]") {
    struct Row {
        std::string bytes;
        std::string text;
    };
    const Row rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xff\xfe\xfb", "//77"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        CHECK(base64_encode(row.bytes) == row.text);
        CHECK(base64_decode(row.text) == row.bytes);
    }
    CHECK(base64url_encode("\xff\xfe\xfb") == "__77");
    CHECK(base64url_encode("f") == "Zg");
}

TEST_CASE("base64 is strict when it decodes", "[base64]") {
    for (const std::string text : {"Zg", "Zg=", "Zg===", "====", "=", "Zh==", "Zm9=", "Zm9v\n", " Zm9v",
                                   "Zm-v", "Z=9v", "Zg==Zg==", "Zm9v===="}) {
        INFO(text);
        CHECK_FALSE(base64_decode(text).has_value());
    }
}

TEST_CASE("base64 takes back every length of random bytes", "[base64]") {
    for (std::size_t size = 0; size < 100; ++size) {
        const std::string bytes = random_bytes(size);
        REQUIRE(base64_decode(base64_encode(bytes)) == bytes);
    }
}

TEST_CASE("hexadecimal text is lower case and whole", "[hex]") {
    CHECK(to_hex(std::string("\x00\xff\x1a", 3)) == "00ff1a");
    CHECK(from_hex("00ff1a") == std::string("\x00\xff\x1a", 3));
    CHECK(from_hex("") == "");
    CHECK_FALSE(from_hex("0").has_value());
    CHECK_FALSE(from_hex("0G").has_value());
    CHECK_FALSE(from_hex("AB").has_value());
}

TEST_CASE("SHA-256 agrees with the examples of FIPS 180-4", "[sha256]") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 pieces;
    for (int i = 0; i < 1000; ++i)
        pieces.update(std::string(1000, 'a'));
    CHECK(to_hex(pieces.finish()) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    pieces.update("abc");
    CHECK(pieces.finish() == sha256("abc"));
}

TEST_CASE("random bytes and ids do not repeat", "[random]") {
    std::set<std::string> bytes;
    std::set<fallow::RawId> ids;
    for (int i = 0; i < 500; ++i) {
        bytes.insert(random_bytes(16));
        ids.insert(random_id());
    }
    CHECK(bytes.size() == 500);
    CHECK(ids.size() == 500);
    CHECK(random_bytes(0).empty());
}

TEST_CASE("secrets are equal only when all bytes are", "[sha256]") {
    CHECK(equal_secrets("abc", "abc"));
    CHECK(equal_secrets("", ""));
    CHECK_FALSE(equal_secrets("abc", "abd"));
    CHECK_FALSE(equal_secrets("abc", "abcd"));
}

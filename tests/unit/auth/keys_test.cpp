#include "auth/keys.hpp"

#include <catch2/catch.hpp>
#include <set>

#include "auth/sha256.hpp"

using namespace fallow::auth;

namespace {

const std::string zeros(32, '\0');

}  // namespace

TEST_CASE("a key is the prefix, 43 digits and a checksum", "[keys]") {
    const std::string key = format_secret(SecretKind::api_key, zeros);
    // The checksum was computed with Python: zlib.crc32(b"fallow_" + b"A" * 43) >> 2, in Crockford base32.
    CHECK(key == "fallow_" + std::string(43, 'A') + "_nghz7h");
    CHECK(check_form(SecretKind::api_key, key));
    CHECK_FALSE(check_form(SecretKind::enrollment_token, key));
    const std::string token = format_secret(SecretKind::enrollment_token, zeros);
    CHECK(token.starts_with("fallow_enroll_AAAA"));
    CHECK(token.size() == key.size() + 7);
    CHECK(check_form(SecretKind::enrollment_token, token));
    CHECK_FALSE(check_form(SecretKind::api_key, token));
}

TEST_CASE("every change of one character of a key is refused", "[keys]") {
    const std::string key = generate_secret(SecretKind::api_key);
    const std::string alphabet = "ABYZabyz0189-_ ./\n";
    for (std::size_t at = 0; at < key.size(); ++at) {
        for (const char c : alphabet) {
            if (key[at] == c) continue;
            std::string changed = key;
            changed[at] = c;
            INFO(changed);
            REQUIRE_FALSE(check_form(SecretKind::api_key, changed));
        }
    }
}

TEST_CASE("a key of another length is refused", "[keys]") {
    const std::string key = generate_secret(SecretKind::api_key);
    CHECK_FALSE(check_form(SecretKind::api_key, ""));
    CHECK_FALSE(check_form(SecretKind::api_key, "fallow_"));
    CHECK_FALSE(check_form(SecretKind::api_key, key + "0"));
    CHECK_FALSE(check_form(SecretKind::api_key, key.substr(0, key.size() - 1)));
    CHECK_FALSE(check_form(SecretKind::api_key, key + std::string(1, '\0')));
}

TEST_CASE("generated keys differ and have the form", "[keys]") {
    std::set<std::string> seen;
    for (int i = 0; i < 200; ++i) {
        const std::string key = generate_secret(SecretKind::api_key);
        REQUIRE(check_form(SecretKind::api_key, key));
        seen.insert(key);
    }
    CHECK(seen.size() == 200);
}

TEST_CASE("what is kept of a key is its SHA-256 and its first twelve characters", "[keys]") {
    const std::string key = format_secret(SecretKind::api_key, zeros);
    CHECK(key_hash(key) == sha256(key));
    CHECK(key_hash(key).size() == 32);
    CHECK(visible_prefix(key) == "fallow_AAAAA");
    CHECK(visible_prefix("short") == "short");
}

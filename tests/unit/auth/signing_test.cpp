#include "auth/signing.hpp"

#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "auth/files.hpp"
#include "auth/openssl.hpp"
#include "auth/sha256.hpp"
#include "unit/auth/temporary_folder.hpp"

using namespace fallow::auth;

namespace {

mode_t mode_of(const std::filesystem::path& path) {
    struct stat facts {};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    return facts.st_mode & 07777;
}

}  // namespace

TEST_CASE("verification agrees with RFC 8032 section 7.1, test 3", "[signing]") {
    const std::string key = *from_hex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
    const std::string signature = *from_hex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
    CHECK(verify(key, "\xaf\x82", signature));
    CHECK_FALSE(verify(key, "\xaf\x83", signature));
}

TEST_CASE("a signature holds for its bytes and its key alone", "[signing]") {
    const SigningKey key = SigningKey::generate();
    const SigningKey other = SigningKey::generate();
    const std::string text = "lease: lease_1\nrunning_ms: 5\n";
    const std::string signature = key.sign(text);
    REQUIRE(signature.size() == signature_bytes);
    REQUIRE(key.public_key().size() == public_key_bytes);
    CHECK(verify(key.public_key(), text, signature));
    CHECK_FALSE(verify(other.public_key(), text, signature));
    CHECK_FALSE(verify(key.public_key(), text + "\n", signature));
    CHECK_FALSE(verify(key.public_key(), text, signature.substr(1)));
    CHECK_FALSE(verify(key.public_key().substr(1), text, signature));
    std::string changed = signature;
    changed[10] = static_cast<char>(changed[10] ^ 1);
    CHECK_FALSE(verify(key.public_key(), text, changed));
    CHECK(verify(key.public_key(), "", key.sign("")));
}

TEST_CASE("a key survives as PEM", "[signing]") {
    const SigningKey key = SigningKey::generate();
    const SigningKey again = SigningKey::from_pem(key.pem());
    CHECK(again.public_key() == key.public_key());
    CHECK(again.sign("x") == key.sign("x"));
    CHECK_THROWS(SigningKey::from_pem("not a key"));
    const KeyPtr ec(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    CHECK_THROWS_WITH(SigningKey::from_pem(private_key_pem(ec.get())),
                      Catch::Contains("not an Ed25519 key"));
}

TEST_CASE("the key file is made once, for its owner alone, and never replaced", "[signing]") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "server_signing.key";
    const SigningKey first = SigningKey::load_or_create(path);
    CHECK(mode_of(path) == 0600);
    CHECK(SigningKey::load_or_create(path).public_key() == first.public_key());

    SECTION("one that others can read is refused") {
        REQUIRE(::chmod(path.c_str(), 0640) == 0);
        CHECK_THROWS_WITH(SigningKey::load_or_create(path), Catch::Contains("chmod 600"));
    }
    SECTION("one that is damaged is refused") {
        write_file(path, "-----BEGIN PRIVATE KEY-----\n", private_mode);
        CHECK_THROWS(SigningKey::load_or_create(path));
        CHECK(read_file(path) == "-----BEGIN PRIVATE KEY-----\n");
    }
}

TEST_CASE("a file is written whole, with its mode, and leaves nothing beside it", "[files]") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "a";
    CHECK_FALSE(read_file(path).has_value());
    write_file(path, "one", public_mode);
    CHECK(mode_of(path) == 0644);
    write_file(path, std::string(10'000, 'x'), private_mode);
    CHECK(mode_of(path) == 0600);
    CHECK(read_private_file(path) == std::string(10'000, 'x'));
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.path()))
        ++files;
    CHECK(files == 1);
    CHECK_THROWS_AS(write_file(folder.path() / "none" / "a", "x", public_mode), std::system_error);
}

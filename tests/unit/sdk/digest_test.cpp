#include "fallow/digest.hpp"

#include <catch2/catch.hpp>

#include "fallow/url.hpp"

namespace fallow::sdk {
namespace {

std::string unhex(std::string_view hex) {
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
        bytes.push_back(static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16)));
    return bytes;
}

TEST_CASE("SHA-256 of FIPS 180-4") {
    CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    Sha256 pieces;
    pieces.update("a");
    pieces.update("bc");
    CHECK(pieces.hex() == sha256_hex("abc"));
}

TEST_CASE("base64 of RFC 4648, one text for one value") {
    struct Row {
        std::string bytes;
        std::string text;
    };
    const auto row = GENERATE(values<Row>({{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xff\xff\xfe", "///+"}}));
    CHECK(base64_encode(row.bytes) == row.text);
    CHECK(base64_decode(row.text) == std::optional(row.bytes));
}

TEST_CASE("base64 that is not canonical is refused") {
    const std::string text = GENERATE("Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v\n", "Zm 9",
                                      "Zg==Zg==", "Zm-_", "A=AA", "=AAA");
    CAPTURE(text);
    CHECK_FALSE(base64_decode(text).has_value());
}

TEST_CASE("Ed25519 of RFC 8032, 7.1, test 2") {
    const std::string key = unhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const std::string signature = unhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
    CHECK(ed25519_verify(key, "\x72", signature));
    CHECK_FALSE(ed25519_verify(key, "\x73", signature));
    CHECK_FALSE(ed25519_verify(key, "", signature));
    CHECK_FALSE(ed25519_verify(key, "\x72", signature.substr(1)));
    CHECK_FALSE(ed25519_verify(key.substr(1), "\x72", signature));
    std::string other = signature;
    other[40] = static_cast<char>(other[40] ^ 1);
    CHECK_FALSE(ed25519_verify(key, "\x72", other));
}

TEST_CASE("what is put into a URL is escaped") {
    CHECK(percent_encode("aZ09-._~") == "aZ09-._~");
    CHECK(percent_encode("a/b?c=d&e f%\xC3\xA9") == "a%2Fb%3Fc%3Dd%26e%20f%25%C3%A9");
    CHECK(query_string({}).empty());
    CHECK(query_string({{"a", "1"}, {"b", ""}, {"c", "x y"}}) == "?a=1&c=x%20y");
}

}  // namespace
}  // namespace fallow::sdk

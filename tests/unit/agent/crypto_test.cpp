#include "agent/crypto.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <catch2/catch.hpp>
#include <memory>

using namespace fallow::agent;

namespace {

std::string base64_decode(const std::string& text) {
    std::string octets(text.size() / 4 * 3, '\0');
    const int size =
        EVP_DecodeBlock(reinterpret_cast<unsigned char*>(octets.data()),
                        reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
    REQUIRE(size >= 0);
    octets.resize(octets.size() - static_cast<std::size_t>(std::count(text.begin(), text.end(), '=')));
    return octets;
}

}  // namespace

TEST_CASE("a signature verifies with the public key that was handed out, and with no other message") {
    const PrivateKey key = PrivateKey::from_pem(PrivateKey::generate_ed25519().pem());
    const std::string raw = base64_decode(key.raw_public_base64());
    REQUIRE(raw.size() == 32);
    const std::string signature = base64_decode(key.sign_base64("statement"));
    REQUIRE(signature.size() == 64);
    EVP_PKEY* const pub = EVP_PKEY_new_raw_public_key(
        EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(raw.data()), raw.size());
    const auto verifies = [&](const std::string& message) {
        EVP_MD_CTX* const context = EVP_MD_CTX_new();
        EVP_DigestVerifyInit(context, nullptr, nullptr, nullptr, pub);
        const int result = EVP_DigestVerify(
            context, reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
            reinterpret_cast<const unsigned char*>(message.data()), message.size());
        EVP_MD_CTX_free(context);
        return result == 1;
    };
    CHECK(verifies("statement"));
    CHECK_FALSE(verifies("statemeNt"));
    EVP_PKEY_free(pub);
}

TEST_CASE("a certificate request is signed by the key it is for") {
    const PrivateKey key = PrivateKey::generate_p256();
    const std::string pem = key.certificate_request("host_1");
    BIO* const bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509_REQ* const request = PEM_read_bio_X509_REQ(bio, nullptr, nullptr, nullptr);
    REQUIRE(request != nullptr);
    CHECK(X509_REQ_verify(request, X509_REQ_get0_pubkey(request)) == 1);
    char name[64] = "";
    X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, name, sizeof name);
    CHECK(std::string(name) == "host_1");
    X509_REQ_free(request);
    BIO_free(bio);
}

TEST_CASE("a certificate is renewed at two thirds of its life") {
    const CertificateLife life{1000, 4000};
    CHECK(renewal_moment(life) == 3000);
    CHECK_THROWS_AS(certificate_life("no certificate"), std::runtime_error);
    CHECK_THROWS_AS(PrivateKey::from_pem("no key"), std::runtime_error);
}

TEST_CASE("hashes and encodings are the standard ones") {
    Sha256 hash;
    hash.update("a");
    hash.update("bc");
    CHECK(hash.finish_hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(base64_encode("") == "");
    CHECK(base64_encode("foob") == "Zm9vYg==");
    CHECK(hex_encode(std::string("\x00\xff", 2)) == "00ff");
}

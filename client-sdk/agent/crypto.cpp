#include "agent/crypto.hpp"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <stdexcept>
#include <vector>

namespace fallow::agent {
namespace {

constexpr std::size_t tunnel_key_bytes = 32;

[[noreturn]] void fail(const char* what) {
    char text[256] = "no reason given";
    if (const unsigned long code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    throw std::runtime_error(std::string(what) + ": " + text);
}

struct BioDeleter {
    void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, BioDeleter>;

Bio memory_bio() {
    Bio bio(BIO_new(BIO_s_mem()));
    if (!bio) fail("no memory for a PEM text");
    return bio;
}

Bio reading_bio(std::string_view text) {
    Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    if (!bio) fail("no memory for a PEM text");
    return bio;
}

std::string text_of(const Bio& bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<std::size_t>(size));
}

std::int64_t unix_ms_of(const ASN1_TIME* time) {
    ASN1_TIME* const epoch = ASN1_TIME_set(nullptr, 0);
    int days = 0;
    int seconds = 0;
    const int done = epoch == nullptr ? 0 : ASN1_TIME_diff(&days, &seconds, epoch, time);
    ASN1_TIME_free(epoch);
    if (done != 1) fail("a certificate's date cannot be read");
    return (static_cast<std::int64_t>(days) * 86'400 + seconds) * 1000;
}

}  // namespace

PrivateKey::PrivateKey(evp_pkey_st* key) : key_(key, EVP_PKEY_free) {}

PrivateKey PrivateKey::generate_ed25519() {
    EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    if (key == nullptr) fail("no Ed25519 key could be made");
    return PrivateKey(key);
}

PrivateKey PrivateKey::generate_p256() {
    EVP_PKEY* const key = EVP_EC_gen("P-256");
    if (key == nullptr) fail("no P-256 key could be made");
    return PrivateKey(key);
}

PrivateKey PrivateKey::from_pem(std::string_view pem) {
    const Bio bio = reading_bio(pem);
    EVP_PKEY* const key = PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr);
    if (key == nullptr) fail("a private key cannot be read");
    return PrivateKey(key);
}

std::string PrivateKey::pem() const {
    const Bio bio = memory_bio();
    if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        fail("a private key cannot be written");
    return text_of(bio);
}

std::string PrivateKey::raw_public_base64() const {
    unsigned char octets[32];
    std::size_t size = sizeof octets;
    if (EVP_PKEY_get_raw_public_key(key_.get(), octets, &size) != 1 || size != sizeof octets)
        fail("the public key cannot be taken");
    return base64_encode({reinterpret_cast<const char*>(octets), size});
}

std::string PrivateKey::sign_base64(std::string_view message) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          EVP_MD_CTX_free);
    unsigned char signature[64];
    std::size_t size = sizeof signature;
    if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
        EVP_DigestSign(context.get(), signature, &size,
                       reinterpret_cast<const unsigned char*>(message.data()), message.size()) != 1)
        fail("a statement cannot be signed");
    return base64_encode({reinterpret_cast<const char*>(signature), size});
}

std::string PrivateKey::certificate_request(const std::string& common_name) const {
    const std::unique_ptr<X509_REQ, decltype(&X509_REQ_free)> request(X509_REQ_new(), X509_REQ_free);
    if (!request) fail("no memory for a certificate request");
    X509_NAME* const name = X509_REQ_get_subject_name(request.get());
    const auto* const octets = reinterpret_cast<const unsigned char*>(common_name.data());
    if (X509_REQ_set_version(request.get(), 0) != 1 ||
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, octets, static_cast<int>(common_name.size()),
                                   -1, 0) != 1 ||
        X509_REQ_set_pubkey(request.get(), key_.get()) != 1 ||
        X509_REQ_sign(request.get(), key_.get(), EVP_sha256()) == 0)
        fail("a certificate request cannot be made");
    const Bio bio = memory_bio();
    if (PEM_write_bio_X509_REQ(bio.get(), request.get()) != 1)
        fail("a certificate request cannot be written");
    return text_of(bio);
}

CertificateLife certificate_life(std::string_view pem) {
    const Bio bio = reading_bio(pem);
    const std::unique_ptr<X509, decltype(&X509_free)> certificate(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (!certificate) fail("a certificate cannot be read");
    return {unix_ms_of(X509_get0_notBefore(certificate.get())),
            unix_ms_of(X509_get0_notAfter(certificate.get()))};
}

std::int64_t renewal_moment(const CertificateLife& life) {
    return life.not_before_ms + (life.not_after_ms - life.not_before_ms) / 3 * 2;
}

TunnelKeys generate_tunnel_keys() {
    const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
        EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), &EVP_PKEY_free);
    if (!key) fail("no X25519 key could be made");
    std::array<unsigned char, tunnel_key_bytes> half{};
    const auto text = [&](auto get) {
        std::size_t length = half.size();
        if (get(key.get(), half.data(), &length) != 1 || length != half.size())
            fail("an X25519 key cannot be read");
        return base64_encode({reinterpret_cast<const char*>(half.data()), half.size()});
    };
    TunnelKeys keys = {text(EVP_PKEY_get_raw_private_key), text(EVP_PKEY_get_raw_public_key)};
    OPENSSL_cleanse(half.data(), half.size());
    return keys;
}

std::string base64_encode(std::string_view octets) {
    std::vector<unsigned char> text(4 * ((octets.size() + 2) / 3) + 1);
    const int size = EVP_EncodeBlock(text.data(), reinterpret_cast<const unsigned char*>(octets.data()),
                                     static_cast<int>(octets.size()));
    return std::string(reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size));
}

std::string hex_encode(std::string_view octets) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(octets.size() * 2);
    for (const char c : octets) {
        const auto octet = static_cast<unsigned char>(c);
        text.push_back(digits[octet >> 4]);
        text.push_back(digits[octet & 15]);
    }
    return text;
}

Sha256::Sha256() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
        fail("SHA-256 cannot start");
}

void Sha256::update(std::string_view octets) {
    if (EVP_DigestUpdate(context_.get(), octets.data(), octets.size()) != 1) fail("SHA-256 failed");
}

std::string Sha256::finish_hex() {
    unsigned char digest[32];
    unsigned int size = 0;
    if (EVP_DigestFinal_ex(context_.get(), digest, &size) != 1) fail("SHA-256 failed");
    return hex_encode({reinterpret_cast<const char*>(digest), size});
}

}  // namespace fallow::agent

#include "auth/sha256.hpp"

#include <openssl/crypto.h>

#include "auth/openssl.hpp"

namespace fallow::auth {
namespace {

constexpr std::string_view hex_digits = "0123456789abcdef";
constexpr std::size_t digest_bytes = 32;

/// Looked up once: EVP_sha256() makes OpenSSL 3 look it up anew for every digest.
const EVP_MD* algorithm() {
    static const EVP_MD* const fetched = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return fetched;
}

}  // namespace

struct Sha256::Impl {
    DigestContextPtr context{EVP_MD_CTX_new()};

    void start() { check_openssl(EVP_DigestInit_ex(context.get(), algorithm(), nullptr) == 1, "SHA-256"); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
    check_openssl(impl_->context != nullptr, "SHA-256");
    impl_->start();
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
    check_openssl(EVP_DigestUpdate(impl_->context.get(), bytes.data(), bytes.size()) == 1, "SHA-256");
}

std::string Sha256::finish() {
    std::string digest(digest_bytes, '\0');
    check_openssl(EVP_DigestFinal_ex(impl_->context.get(), as_bytes(digest), nullptr) == 1, "SHA-256");
    impl_->start();
    return digest;
}

std::string sha256(std::string_view bytes) {
    std::string digest(digest_bytes, '\0');
    check_openssl(
        EVP_Digest(bytes.data(), bytes.size(), as_bytes(digest), nullptr, algorithm(), nullptr) == 1,
        "SHA-256");
    return digest;
}

std::string sha256_hex(std::string_view bytes) {
    return to_hex(sha256(bytes));
}

std::string to_hex(std::string_view bytes) {
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        text.push_back(hex_digits[byte >> 4]);
        text.push_back(hex_digits[byte & 15]);
    }
    return text;
}

std::optional<std::string> from_hex(std::string_view text) {
    if (text.size() % 2 != 0) return std::nullopt;
    std::string bytes;
    bytes.reserve(text.size() / 2);
    for (std::size_t i = 0; i < text.size(); i += 2) {
        const auto high = hex_digits.find(text[i]);
        const auto low = hex_digits.find(text[i + 1]);
        if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
        bytes.push_back(static_cast<char>(high << 4 | low));
    }
    return bytes;
}

bool equal_secrets(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace fallow::auth

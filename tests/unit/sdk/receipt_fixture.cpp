#include "unit/sdk/receipt_fixture.hpp"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "fallow/digest.hpp"

namespace fallow::sdk::testing {

struct SigningKey::Impl {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
};

SigningKey::SigningKey() : impl_(std::make_unique<Impl>()) {
    if (impl_->key == nullptr) throw std::runtime_error("no Ed25519 key");
}

SigningKey::~SigningKey() {
    EVP_PKEY_free(impl_->key);
}

std::string SigningKey::public_base64() const {
    std::array<unsigned char, 32> raw{};
    std::size_t size = raw.size();
    if (EVP_PKEY_get_raw_public_key(impl_->key, raw.data(), &size) != 1)
        throw std::runtime_error("no public key");
    return base64_encode({reinterpret_cast<const char*>(raw.data()), size});
}

std::string SigningKey::sign_base64(std::string_view text) const {
    std::array<unsigned char, 64> signature{};
    std::size_t size = signature.size();
    EVP_MD_CTX* const context = EVP_MD_CTX_new();
    const bool done = EVP_DigestSignInit(context, nullptr, nullptr, nullptr, impl_->key) == 1 &&
                      EVP_DigestSign(context, signature.data(), &size,
                                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
    EVP_MD_CTX_free(context);
    if (!done) throw std::runtime_error("no signature");
    return base64_encode({reinterpret_cast<const char*>(signature.data()), size});
}

ReceiptTexts::ReceiptTexts(const std::string& server_key, const std::string& host_key) {
    usage =
        "fallow-usage-v1\nlease: lease_1\nepoch: 12\ncontainer: c0ffee\nboot: b007\n"
        "nonce: 0123456789abcdef0123456789abcdef\nsequence: 3\nrunning_ms: 5400002\nfinal: true\n";
    certificate = "fallow-host-key-v1\nhost: host_1\nkey: " + host_key +
                  "\nregistered_at: 2026-01-01T00:00:00.000Z\n";
    head =
        "fallow-receipt-v1\nserver_key: " + server_key +
        "\nlease: lease_1\norder: order_1\nrenter: org_r\nseller: org_s\nhost: host_1\nlisting: listing_1\n"
        "cards: card_a,card_b\nthousandths: 2000\nstarted_at: 2026-01-02T03:04:05.678Z\n"
        "ended_at: 2026-01-02T04:34:05.680Z\nend_reason: completed\nsegment: 2500000 3600001\n"
        "segment: 1250000 1800001\nrunning_ms: 5400002\ncharged_micros: 6250002\nfee_micros: 312500\n";
}

std::string ReceiptTexts::receipt() const {
    const std::string digest = signers == "server" ? "none" : sha256_hex(usage);
    return head + "usage_sha256: " + digest + "\nsigners: " + signers + "\n";
}

std::string receipt_json(const ReceiptTexts& texts, const SigningKey& server, const SigningKey& host) {
    const nlohmann::json document = {
        {"receipt", texts.receipt()},
        {"server_signature", server.sign_base64(texts.receipt())},
        {"usage_statement", texts.usage},
        {"usage_signature", host.sign_base64(texts.usage)},
        {"host_key", host.public_base64()},
        {"host_key_certificate",
         {{"statement", texts.certificate}, {"signature", server.sign_base64(texts.certificate)}}},
    };
    return document.dump();
}

std::string server_receipt_json(const ReceiptTexts& texts, const SigningKey& server) {
    ReceiptTexts alone = texts;
    alone.signers = "server";
    const nlohmann::json document = {
        {"receipt", alone.receipt()}, {"server_signature", server.sign_base64(alone.receipt())},
        {"usage_statement", nullptr}, {"usage_signature", nullptr},
        {"host_key", nullptr},        {"host_key_certificate", nullptr},
    };
    return document.dump();
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const auto at = text.find(from);
    if (at == std::string::npos || text.find(from, at + 1) != std::string::npos)
        throw std::logic_error(fmt::format("\"{}\" is not there exactly once", from));
    return text.replace(at, from.size(), to);
}

}  // namespace fallow::sdk::testing

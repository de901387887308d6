#include "http/ticket_keys.hpp"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace fallow::http {
namespace {

constexpr std::size_t name_bytes = 16;
constexpr std::size_t key_bytes = 32;
using Digest = std::array<unsigned char, key_bytes>;

struct PeriodKeys {
    Digest name;  ///< its first name_bytes
    Digest cipher;
    Digest mac;
};

class TicketKeys {
  public:
    TicketKeys(std::string secret, std::function<std::int64_t()> unix_seconds)
        : secret_(std::move(secret)), unix_seconds_(std::move(unix_seconds)) {}

    [[nodiscard]] std::int64_t period() const { return unix_seconds_() / ticket_seconds_max; }

    [[nodiscard]] PeriodKeys of(std::int64_t period) const {
        return {derive("name", period), derive("cipher", period), derive("mac", period)};
    }

  private:
    [[nodiscard]] Digest derive(std::string_view use, std::int64_t period) const {
        const std::string text =
            "fallow-tls-ticket-v1\n" + std::string(use) + "\n" + std::to_string(period);
        Digest digest{};
        unsigned int size = 0;
        HMAC(EVP_sha256(), secret_.data(), static_cast<int>(secret_.size()),
             reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data(), &size);
        return digest;
    }

    const std::string secret_;
    const std::function<std::int64_t()> unix_seconds_;
};

void free_keys(void*, void* keys, CRYPTO_EX_DATA*, int, long, void*) {
    delete static_cast<TicketKeys*>(keys);
}

int place_of_keys() {
    static const int place = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, free_keys);
    return place;
}

bool set_mac_key(EVP_MAC_CTX* mac, Digest& key) {
    std::array<char, 7> digest_name{"SHA256"};
    const std::array<OSSL_PARAM, 3> parameters{
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key.data(), key.size()),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest_name.data(), 0),
        OSSL_PARAM_construct_end()};
    return EVP_MAC_CTX_set_params(mac, parameters.data()) == 1;
}

constexpr int failed = -1;
constexpr int none = 0;  ///< encrypting: no ticket; decrypting: not ours, a whole handshake follows
constexpr int good = 1;

int encrypt(const TicketKeys& keys, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
            EVP_MAC_CTX* mac) {
    PeriodKeys now = keys.of(keys.period());
    if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(EVP_aes_256_cbc())) != 1) return failed;
    std::memcpy(name, now.name.data(), name_bytes);
    const bool is_set = EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, now.cipher.data(), iv) == 1;
    return is_set && set_mac_key(mac, now.mac) ? good : failed;
}

int decrypt(const TicketKeys& keys, const unsigned char* name, const unsigned char* iv,
            EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
    const std::int64_t now = keys.period();
    // The next one as well: another server's clock may be ahead.
    for (const std::int64_t period : {now, now - 1, now + 1}) {
        PeriodKeys tried = keys.of(period);
        if (!std::equal(tried.name.begin(), tried.name.begin() + name_bytes, name)) continue;
        const bool is_set =
            EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), nullptr, tried.cipher.data(), iv) == 1;
        return is_set && set_mac_key(mac, tried.mac) ? good : failed;
    }
    return none;
}

int on_ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac,
              int encrypts) {
    // A ticket of TLS 1.2 holds the key of the traffic itself.
    if (SSL_version(ssl) < TLS1_3_VERSION) return none;
    const auto* keys =
        static_cast<const TicketKeys*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), place_of_keys()));
    if (keys == nullptr) return none;
    return encrypts == 1 ? encrypt(*keys, name, iv, cipher, mac) : decrypt(*keys, name, iv, cipher, mac);
}

}  // namespace

void use_ticket_keys(SSL_CTX* context, std::string secret, std::function<std::int64_t()> unix_seconds) {
    auto keys = std::make_unique<TicketKeys>(std::move(secret), std::move(unix_seconds));
    if (SSL_CTX_set_ex_data(context, place_of_keys(), keys.get()) != 1)
        throw std::runtime_error("TLS: no memory for the keys of session tickets");
    static_cast<void>(keys.release());  // free_keys() has it now
    SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket);
}

}  // namespace fallow::http

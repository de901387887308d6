// Keys, signatures and hashes of the agent, over OpenSSL. Two keys with two lives: the Ed25519 signing key
// is the host's identity on receipts and lives as long as the host; the EC P-256 key is for TLS alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

struct evp_pkey_st;
struct evp_md_ctx_st;

namespace fallow::agent {

/// A private key. Every function throws std::runtime_error when OpenSSL refuses.
class PrivateKey {
  public:
    [[nodiscard]] static PrivateKey generate_ed25519();
    [[nodiscard]] static PrivateKey generate_p256();
    [[nodiscard]] static PrivateKey from_pem(std::string_view pem);

    [[nodiscard]] std::string pem() const;
    /// The 32 octets of an Ed25519 public key, in base64.
    [[nodiscard]] std::string raw_public_base64() const;
    /// Ed25519 (RFC 8032) over the message; base64.
    [[nodiscard]] std::string sign_base64(std::string_view message) const;
    /// A PKCS #10 request, signed with this key. The server sets every name of the certificate itself.
    [[nodiscard]] std::string certificate_request(const std::string& common_name) const;

  private:
    explicit PrivateKey(evp_pkey_st* key);
    std::shared_ptr<evp_pkey_st> key_;
};

/// A key pair for one tunnel of WireGuard's (X25519), both halves in base64.
struct TunnelKeys {
    std::string private_key;
    std::string public_key;
};
[[nodiscard]] TunnelKeys generate_tunnel_keys();

/// Lifetime of the first certificate in a PEM chain, in milliseconds since 1970.
struct CertificateLife {
    std::int64_t not_before_ms = 0;
    std::int64_t not_after_ms = 0;
};
[[nodiscard]] CertificateLife certificate_life(std::string_view pem);
/// When two thirds of its life have passed.
[[nodiscard]] std::int64_t renewal_moment(const CertificateLife& life);

[[nodiscard]] std::string base64_encode(std::string_view octets);
[[nodiscard]] std::string hex_encode(std::string_view octets);

class Sha256 {
  public:
    Sha256();
    void update(std::string_view octets);
    [[nodiscard]] std::string finish_hex();

  private:
    std::shared_ptr<evp_md_ctx_st> context_;
};

}  // namespace fallow::agent

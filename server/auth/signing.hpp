// Ed25519 signatures (RFC 8032). The server signs receipts and key certificates, agents sign usage
// statements.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace fallow::auth {

inline constexpr std::size_t public_key_bytes = 32;
inline constexpr std::size_t signature_bytes = 64;

/// A private key. sign() may be called from any number of threads.
class SigningKey {
  public:
    [[nodiscard]] static SigningKey generate();
    /// Throws when the text holds no unencrypted Ed25519 key.
    [[nodiscard]] static SigningKey from_pem(std::string_view pem);
    /// Reads the file, or makes a key and writes it (mode 0600) when there is none. Throws when the file
    /// cannot be used: a server that silently took a new key would no longer be the one its clients pinned.
    [[nodiscard]] static SigningKey load_or_create(const std::filesystem::path& path);

    ~SigningKey();
    SigningKey(SigningKey&&) noexcept;
    SigningKey& operator=(SigningKey&&) noexcept;

    [[nodiscard]] std::string pem() const;
    /// 32 raw bytes.
    [[nodiscard]] const std::string& public_key() const;
    /// 64 raw bytes.
    [[nodiscard]] std::string sign(std::string_view bytes) const;

  private:
    struct Impl;
    explicit SigningKey(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

/// False for a wrong signature and for a key or signature of the wrong size. `public_key` is 32 raw bytes.
[[nodiscard]] bool verify(std::string_view public_key, std::string_view bytes, std::string_view signature);

}  // namespace fallow::auth

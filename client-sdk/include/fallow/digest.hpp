// SHA-256, base64 and Ed25519 verification, as the contract uses them. OpenSSL does the work.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::sdk {

/// SHA-256 over bytes that come piece by piece.
class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(std::string_view bytes);
    /// Lower-case hex. Call it once, at the end.
    [[nodiscard]] std::string hex();

  private:
    struct Context;
    std::unique_ptr<Context> context_;
};

[[nodiscard]] std::string sha256_hex(std::string_view bytes);

struct FileDigest {
    std::int64_t bytes = 0;
    std::string sha256;
};
/// Reads the file once, in pieces. Throws std::system_error.
[[nodiscard]] FileDigest digest_file(const std::filesystem::path& path);

[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// RFC 4648 with padding, canonical: one text for one value. Nothing for anything else.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

/// `key` is the 32 raw bytes of an Ed25519 public key, `signature` the 64 raw bytes. Wrong sizes do not
/// verify.
[[nodiscard]] bool ed25519_verify(std::string_view key, std::string_view message,
                                  std::string_view signature);

}  // namespace fallow::sdk

// SHA-256 (FIPS 180-4), at once or piece by piece, and hexadecimal text.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::auth {

class Sha256 {
  public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(std::string_view bytes);
    /// The 32 raw bytes; afterwards the object is as new.
    [[nodiscard]] std::string finish();

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// 32 raw bytes.
[[nodiscard]] std::string sha256(std::string_view bytes);
/// 64 lower-case hexadecimal digits.
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

[[nodiscard]] std::string to_hex(std::string_view bytes);
/// Nothing unless `text` is an even number of lower-case hexadecimal digits.
[[nodiscard]] std::optional<std::string> from_hex(std::string_view text);

/// Compares secrets in a time that depends on their length alone.
[[nodiscard]] bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace fallow::auth

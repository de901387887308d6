// Where organizations' secrets are sealed. Each is encrypted under a key of its own, and that key under the
// servers' key (AES-256-GCM, NIST SP 800-38D, both times). So the servers' key is changed by sealing small
// keys anew, and no secret is read for it.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::auth {

struct SealedSecret {
    std::string key_id;       ///< of the servers' key: 16 hexadecimal digits
    std::string wrapped_key;  ///< raw octets: nonce, tag and the secret's own key
    std::string sealed;       ///< raw octets: nonce, tag and the secret
};

/// The servers' keys, from a file: a line for each, base64 of 32 octets, the one that seals first. The
/// others only open. Any thread.
class Vault {
  public:
    /// Reads the file, or makes one with a new key. Throws when it cannot be used, or others than its owner
    /// may read it.
    explicit Vault(std::filesystem::path file);

    /// Puts a new key before those of the file. Servers that run use it from their next start, and open
    /// with it from now on.
    static void add_key(const std::filesystem::path& file);

    [[nodiscard]] std::string current_key() const;
    /// Looks into the file again for a key that it has not seen yet.
    [[nodiscard]] bool has_key(const std::string& key_id) const;

    /// `bound_to` is what the secret belongs to: under another text it does not open.
    [[nodiscard]] SealedSecret seal(std::string_view secret, std::string_view bound_to) const;
    /// Nothing when it was altered, or belongs to something else, or its key is not here.
    [[nodiscard]] std::optional<std::string> open(const SealedSecret& secret,
                                                  std::string_view bound_to) const;
    /// The same under the current key.
    [[nodiscard]] std::optional<SealedSecret> rewrap(const SealedSecret& secret,
                                                     std::string_view bound_to) const;

  private:
    struct Key {
        std::string id;
        std::string octets;
    };
    static std::vector<Key> read(const std::filesystem::path& file);
    [[nodiscard]] std::optional<Key> find(const std::string& key_id) const;
    [[nodiscard]] Key first() const;
    [[nodiscard]] std::optional<std::string> unwrap(const SealedSecret& secret,
                                                    std::string_view bound_to) const;

    const std::filesystem::path file_;
    mutable std::mutex mutex_;
    mutable std::vector<Key> keys_;
};

}  // namespace fallow::auth

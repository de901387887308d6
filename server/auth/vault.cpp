#include "auth/vault.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>

#include "auth/base64.hpp"
#include "auth/files.hpp"
#include "auth/openssl.hpp"
#include "auth/random.hpp"
#include "auth/sha256.hpp"

namespace fallow::auth {
namespace {

constexpr std::size_t key_bytes = 32;
constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;
constexpr std::size_t key_id_digits = 16;
constexpr std::size_t keys_max = 16;

using CipherContextPtr = std::unique_ptr<EVP_CIPHER_CTX, Release<EVP_CIPHER_CTX_free>>;

/// Octets that are gone from memory when they are no longer needed.
class Wiped {
  public:
    explicit Wiped(std::string octets) : octets_(std::move(octets)) {}
    ~Wiped() { OPENSSL_cleanse(octets_.data(), octets_.size()); }
    Wiped(const Wiped&) = delete;
    Wiped& operator=(const Wiped&) = delete;
    [[nodiscard]] const std::string& octets() const { return octets_; }

  private:
    std::string octets_;
};

int size_of(std::string_view text) {
    return static_cast<int>(text.size());
}

void check(int result) {
    check_openssl(result == 1, "AES-256-GCM");
}

/// nonce, tag and ciphertext. A key seals few texts, so that random nonces do not meet.
std::string encrypt(const std::string& key, std::string_view text, std::string_view bound_to) {
    const std::string nonce = random_bytes(nonce_bytes);
    const CipherContextPtr context(EVP_CIPHER_CTX_new());
    std::string sealed(text.size(), '\0');
    std::string tag(tag_bytes, '\0');
    int size = 0;
    check(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, as_bytes(key), as_bytes(nonce)));
    check(EVP_EncryptUpdate(context.get(), nullptr, &size, as_bytes(bound_to), size_of(bound_to)));
    check(EVP_EncryptUpdate(context.get(), as_bytes(sealed), &size, as_bytes(text), size_of(text)));
    check(EVP_EncryptFinal_ex(context.get(), as_bytes(sealed) + size, &size));
    check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, tag_bytes, as_bytes(tag)));
    return nonce + tag + sealed;
}

std::optional<std::string> decrypt(const std::string& key, std::string_view sealed,
                                   std::string_view bound_to) {
    if (sealed.size() < nonce_bytes + tag_bytes) return std::nullopt;
    const std::string_view nonce = sealed.substr(0, nonce_bytes);
    std::string tag(sealed.substr(nonce_bytes, tag_bytes));
    const std::string_view text = sealed.substr(nonce_bytes + tag_bytes);
    const CipherContextPtr context(EVP_CIPHER_CTX_new());
    std::string opened(text.size(), '\0');
    int size = 0;
    check(EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, as_bytes(key), as_bytes(nonce)));
    check(EVP_DecryptUpdate(context.get(), nullptr, &size, as_bytes(bound_to), size_of(bound_to)));
    check(EVP_DecryptUpdate(context.get(), as_bytes(opened), &size, as_bytes(text), size_of(text)));
    check(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, tag_bytes, as_bytes(tag)));
    if (EVP_DecryptFinal_ex(context.get(), as_bytes(opened) + size, &size) == 1) return opened;
    OPENSSL_cleanse(opened.data(), opened.size());
    return std::nullopt;
}

std::string key_binding(const std::string& key_id, std::string_view bound_to) {
    return "fallow-secret-key-v1\n" + key_id + "\n" + std::string(bound_to);
}

std::string secret_binding(std::string_view bound_to) {
    return "fallow-secret-v1\n" + std::string(bound_to);
}

std::string id_of(const std::string& key) {
    return sha256_hex("fallow-secrets-key-v1\n" + key).substr(0, key_id_digits);
}

}  // namespace

Vault::Vault(std::filesystem::path file) : file_(std::move(file)) {
    if (!read_private_file(file_)) add_key(file_);
    keys_ = read(file_);
}

void Vault::add_key(const std::filesystem::path& file) {
    const std::string known = read_private_file(file).value_or("");
    if (!known.empty() && read(file).size() >= keys_max)
        throw std::runtime_error(file.string() + " has " + std::to_string(keys_max) +
                                 " keys: remove those that no secret is sealed under any more");
    write_file(file, base64_encode(random_bytes(key_bytes)) + "\n" + known, private_mode);
}

std::vector<Vault::Key> Vault::read(const std::filesystem::path& file) {
    const auto text = read_private_file(file);
    if (!text) throw std::runtime_error("there is no " + file.string());
    std::vector<Key> keys;
    std::istringstream lines(*text);
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) continue;
        auto octets = base64_decode(line);
        if (!octets || octets->size() != key_bytes)
            throw std::runtime_error(file.string() + " has a line that is not base64 of 32 octets");
        keys.push_back({id_of(*octets), std::move(*octets)});
    }
    if (keys.empty()) throw std::runtime_error(file.string() + " holds no key");
    return keys;
}

Vault::Key Vault::first() const {
    const std::lock_guard lock(mutex_);
    return keys_.front();
}

std::optional<Vault::Key> Vault::find(const std::string& key_id) const {
    const std::lock_guard lock(mutex_);
    const auto look = [&](const std::vector<Key>& keys) -> std::optional<Key> {
        const auto found = std::ranges::find(keys, key_id, &Key::id);
        return found == keys.end() ? std::nullopt : std::optional(*found);
    };
    if (const auto known = look(keys_)) return known;
    // Another server was started with a newer file: this one goes on sealing as it did, and opens as well.
    const std::vector<Key> fresh = read(file_);
    const auto found = look(fresh);
    if (found) keys_.push_back(*found);
    return found;
}

std::string Vault::current_key() const {
    return first().id;
}

bool Vault::has_key(const std::string& key_id) const {
    return find(key_id).has_value();
}

SealedSecret Vault::seal(std::string_view secret, std::string_view bound_to) const {
    const Key key = first();
    const Wiped own(random_bytes(key_bytes));
    return {key.id, encrypt(key.octets, own.octets(), key_binding(key.id, bound_to)),
            encrypt(own.octets(), secret, secret_binding(bound_to))};
}

std::optional<std::string> Vault::unwrap(const SealedSecret& secret, std::string_view bound_to) const {
    const auto key = find(secret.key_id);
    if (!key) return std::nullopt;
    auto own = decrypt(key->octets, secret.wrapped_key, key_binding(key->id, bound_to));
    return own && own->size() == key_bytes ? std::move(own) : std::nullopt;
}

std::optional<std::string> Vault::open(const SealedSecret& secret, std::string_view bound_to) const {
    auto unwrapped = unwrap(secret, bound_to);
    if (!unwrapped) return std::nullopt;
    const Wiped own(std::move(*unwrapped));
    return decrypt(own.octets(), secret.sealed, secret_binding(bound_to));
}

std::optional<SealedSecret> Vault::rewrap(const SealedSecret& secret, std::string_view bound_to) const {
    auto unwrapped = unwrap(secret, bound_to);
    if (!unwrapped) return std::nullopt;
    const Wiped own(std::move(*unwrapped));
    const Key key = first();
    return SealedSecret{key.id, encrypt(key.octets, own.octets(), key_binding(key.id, bound_to)),
                        secret.sealed};
}

}  // namespace fallow::auth

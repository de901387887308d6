#include "auth/signing.hpp"

#include "auth/files.hpp"
#include "auth/openssl.hpp"

namespace fallow::auth {

struct SigningKey::Impl {
    KeyPtr key;
    std::string public_key;

    explicit Impl(KeyPtr given) : key(std::move(given)), public_key(public_key_bytes, '\0') {
        std::size_t size = public_key.size();
        check_openssl(EVP_PKEY_get_raw_public_key(key.get(), as_bytes(public_key), &size) == 1 &&
                          size == public_key_bytes,
                      "reading an Ed25519 public key");
    }
};

SigningKey::SigningKey(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;

SigningKey SigningKey::generate() {
    KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    check_openssl(key != nullptr, "making an Ed25519 key");
    return SigningKey(std::make_unique<Impl>(std::move(key)));
}

SigningKey SigningKey::from_pem(std::string_view pem) {
    KeyPtr key = parse_private_key(pem);
    if (EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519)
        throw std::runtime_error("the signing key is not an Ed25519 key");
    return SigningKey(std::make_unique<Impl>(std::move(key)));
}

SigningKey SigningKey::load_or_create(const std::filesystem::path& path) {
    if (const auto pem = read_private_file(path)) return from_pem(*pem);
    SigningKey key = generate();
    write_file(path, key.pem(), private_mode);
    return key;
}

std::string SigningKey::pem() const {
    return private_key_pem(impl_->key.get());
}
const std::string& SigningKey::public_key() const {
    return impl_->public_key;
}

std::string SigningKey::sign(std::string_view bytes) const {
    const DigestContextPtr context(EVP_MD_CTX_new());
    check_openssl(context != nullptr, "signing");
    check_openssl(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, impl_->key.get()) == 1,
                  "signing");
    std::string signature(signature_bytes, '\0');
    std::size_t size = signature.size();
    check_openssl(
        EVP_DigestSign(context.get(), as_bytes(signature), &size, as_bytes(bytes), bytes.size()) == 1 &&
            size == signature_bytes,
        "signing");
    return signature;
}

bool verify(std::string_view public_key, std::string_view bytes, std::string_view signature) {
    if (public_key.size() != public_key_bytes || signature.size() != signature_bytes) return false;
    const KeyPtr key(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, as_bytes(public_key), public_key.size()));
    const DigestContextPtr context(EVP_MD_CTX_new());
    const bool good = key != nullptr && context != nullptr &&
                      EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) == 1 &&
                      EVP_DigestVerify(context.get(), as_bytes(signature), signature.size(),
                                       as_bytes(bytes), bytes.size()) == 1;
    ERR_clear_error();
    return good;
}

}  // namespace fallow::auth

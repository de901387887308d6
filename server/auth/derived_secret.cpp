#include "auth/derived_secret.hpp"

#include <openssl/crypto.h>
#include <openssl/hmac.h>

#include <array>

#include "auth/openssl.hpp"

namespace fallow::auth {

std::string derived_secret(const SigningKey& key, std::string_view label) {
    const KeyPtr parsed = parse_private_key(key.pem());
    std::array<unsigned char, 32> raw{};
    std::size_t size = raw.size();
    check_openssl(EVP_PKEY_get_raw_private_key(parsed.get(), raw.data(), &size) == 1,
                  "reading an Ed25519 private key");
    std::string secret(32, '\0');
    unsigned int secret_size = 0;
    const auto* made = HMAC(EVP_sha256(), raw.data(), static_cast<int>(size), as_bytes(label), label.size(),
                            as_bytes(secret), &secret_size);
    OPENSSL_cleanse(raw.data(), raw.size());
    check_openssl(made != nullptr && secret_size == secret.size(), "deriving a secret");
    return secret;
}

std::string keyed_digest(std::string_view secret, std::string_view text) {
    std::string digest(32, '\0');
    unsigned int size = 0;
    const auto* made = HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), as_bytes(text),
                            text.size(), as_bytes(digest), &size);
    check_openssl(made != nullptr && size == digest.size(), "computing an HMAC");
    return digest;
}

}  // namespace fallow::auth

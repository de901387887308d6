#include "api/sealed_reply.hpp"

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>

#include "auth/base64.hpp"
#include "auth/random.hpp"
#include "auth/sha256.hpp"

namespace fallow::api {
namespace {

constexpr std::size_t nonce_bytes = 12;
constexpr std::size_t tag_bytes = 16;

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

const unsigned char* octets(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* octets(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

std::string key_of(std::string_view secret) {
    return auth::sha256("fallow-sealed-reply-v1\n" + std::string(secret));
}

void check(int result) {
    if (result != 1) throw std::runtime_error("sealing a reply: OpenSSL failed");
}

}  // namespace

std::string seal_reply(std::string_view secret, std::string_view body) {
    const std::string key = key_of(secret);
    const std::string nonce = auth::random_bytes(nonce_bytes);
    const ContextPtr context(EVP_CIPHER_CTX_new());
    std::string sealed(body.size(), '\0');
    std::string tag(tag_bytes, '\0');
    int size = 0;
    check(EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, octets(key), octets(nonce)));
    check(EVP_EncryptUpdate(context.get(), octets(sealed), &size, octets(body),
                            static_cast<int>(body.size())));
    check(EVP_EncryptFinal_ex(context.get(), octets(sealed) + size, &size));
    check(
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, static_cast<int>(tag_bytes), octets(tag)));
    return auth::base64_encode(nonce + tag + sealed);
}

std::optional<std::string> open_reply(std::string_view secret, std::string_view sealed) {
    const auto decoded = auth::base64_decode(sealed);
    if (!decoded || decoded->size() < nonce_bytes + tag_bytes) return std::nullopt;
    const std::string key = key_of(secret);
    const std::string nonce = decoded->substr(0, nonce_bytes);
    std::string tag = decoded->substr(nonce_bytes, tag_bytes);
    const std::string text = decoded->substr(nonce_bytes + tag_bytes);
    const ContextPtr context(EVP_CIPHER_CTX_new());
    std::string body(text.size(), '\0');
    int size = 0;
    check(EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, octets(key), octets(nonce)));
    check(
        EVP_DecryptUpdate(context.get(), octets(body), &size, octets(text), static_cast<int>(text.size())));
    check(
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(tag_bytes), octets(tag)));
    if (EVP_DecryptFinal_ex(context.get(), octets(body) + size, &size) != 1) return std::nullopt;
    return body;
}

}  // namespace fallow::api

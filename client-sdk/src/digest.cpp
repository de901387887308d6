#include "fallow/digest.hpp"

#include <openssl/evp.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace fallow::sdk {
namespace {

struct DigestContextDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using DigestContext = std::unique_ptr<EVP_MD_CTX, DigestContextDeleter>;

struct KeyDeleter {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

const unsigned char* octets(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

std::optional<std::uint32_t> group_of(std::string_view text, std::size_t digits) {
    std::uint32_t group = 0;
    for (std::size_t i = 0; i < 4; ++i) {
        std::size_t value = 0;
        if (i < digits) {
            value = alphabet.find(text[i]);
            if (value == std::string_view::npos) return std::nullopt;
        }
        group = (group << 6) | static_cast<std::uint32_t>(value);
    }
    return group;
}

}  // namespace

struct Sha256::Context {
    DigestContext evp{EVP_MD_CTX_new()};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    if (!context_->evp || EVP_DigestInit_ex(context_->evp.get(), EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("OpenSSL gives no SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::string_view bytes) {
    if (EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) != 1)
        throw std::runtime_error("OpenSSL: SHA-256 failed");
}

std::string Sha256::hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (EVP_DigestFinal_ex(context_->evp.get(), digest.data(), &size) != 1)
        throw std::runtime_error("OpenSSL: SHA-256 failed");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
        text.push_back(digits[digest[i] >> 4]);
        text.push_back(digits[digest[i] & 15]);
    }
    return text;
}

std::string sha256_hex(std::string_view bytes) {
    Sha256 sha256;
    sha256.update(bytes);
    return sha256.hex();
}

FileDigest digest_file(const std::filesystem::path& path) {
    errno = 0;
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::system_error(errno, std::generic_category(), path.string());
    Sha256 sha256;
    FileDigest digest;
    std::vector<char> buffer(256 * 1024);
    do {
        file.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
        sha256.update({buffer.data(), static_cast<std::size_t>(file.gcount())});
        digest.bytes += file.gcount();
    } while (file);
    if (file.bad() || !file.eof()) throw std::system_error(EIO, std::generic_category(), path.string());
    digest.sha256 = sha256.hex();
    return digest;
}

std::string base64_encode(std::string_view bytes) {
    std::string text;
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::size_t taken = std::min<std::size_t>(3, bytes.size() - at);
        std::uint32_t group = 0;
        for (std::size_t i = 0; i < 3; ++i)
            group = (group << 8) | (i < taken ? static_cast<unsigned char>(bytes[at + i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i)
            text.push_back(i <= taken ? alphabet[(group >> (18 - 6 * i)) & 63] : '=');
    }
    return text;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::string bytes;
    for (std::size_t at = 0; at < text.size(); at += 4) {
        const bool last = at + 4 == text.size();
        std::size_t digits = 4;
        while (last && digits > 2 && text[at + digits - 1] == '=')
            --digits;
        const auto group = group_of(text.substr(at, 4), digits);
        if (!group) return std::nullopt;
        const std::size_t octet_count = digits - 1;
        const std::uint32_t unused = octet_count == 3 ? 0 : *group & ((1U << (24 - 8 * octet_count)) - 1);
        if (unused != 0) return std::nullopt;  // another text for the same bytes
        for (std::size_t i = 0; i < octet_count; ++i)
            bytes.push_back(static_cast<char>((*group >> (16 - 8 * i)) & 255));
    }
    return bytes;
}

bool ed25519_verify(std::string_view key, std::string_view message, std::string_view signature) {
    constexpr std::size_t key_bytes = 32;
    constexpr std::size_t signature_bytes = 64;
    if (key.size() != key_bytes || signature.size() != signature_bytes) return false;
    const std::unique_ptr<EVP_PKEY, KeyDeleter> public_key(
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets(key), key.size()));
    const DigestContext context(EVP_MD_CTX_new());
    return public_key && context &&
           EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, public_key.get()) == 1 &&
           EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(message),
                            message.size()) == 1;
}

}  // namespace fallow::sdk

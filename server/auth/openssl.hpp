// Owners for OpenSSL's objects, and its error queue as an exception. Only auth/*.cpp includes this.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace fallow::auth {

template <auto release>
struct Release {
    template <class T>
    void operator()(T* object) const {
        release(object);
    }
};

using BioPtr = std::unique_ptr<BIO, Release<BIO_free_all>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Release<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Release<EVP_PKEY_CTX_free>>;
using DigestContextPtr = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX_free>>;
using CertificatePtr = std::unique_ptr<X509, Release<X509_free>>;
using RequestPtr = std::unique_ptr<X509_REQ, Release<X509_REQ_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Release<X509_EXTENSION_free>>;
using BignumPtr = std::unique_ptr<BIGNUM, Release<BN_free>>;

/// Throws with OpenSSL's own reason, and leaves its error queue empty.
[[noreturn]] inline void throw_openssl(std::string_view what) {
    const unsigned long code = ERR_peek_last_error();
    const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
    ERR_clear_error();
    throw std::runtime_error(std::string(what) + ": " + (reason != nullptr ? reason : "OpenSSL failed"));
}

inline void check_openssl(bool good, std::string_view what) {
    if (!good) throw_openssl(what);
}

/// Never asks a terminal for a passphrase: an encrypted key is an error here.
inline int no_passphrase(char*, int, int, void*) {
    return -1;
}

inline BioPtr bio_over(std::string_view bytes) {
    BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
    check_openssl(bio != nullptr, "reading from memory");
    return bio;
}

inline std::string bytes_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return std::string(data, static_cast<std::size_t>(size));
}

inline const unsigned char* as_bytes(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

inline unsigned char* as_bytes(std::string& text) {
    return reinterpret_cast<unsigned char*>(text.data());
}

/// PKCS #8 PEM without a passphrase.
[[nodiscard]] std::string private_key_pem(EVP_PKEY* key);
/// Throws when the text holds no unencrypted private key.
[[nodiscard]] KeyPtr parse_private_key(std::string_view pem);
[[nodiscard]] std::string certificate_pem(X509* certificate);
/// The first certificate in the text; throws when there is none.
[[nodiscard]] CertificatePtr parse_certificate(std::string_view pem);

}  // namespace fallow::auth

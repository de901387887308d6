#include "auth/openssl.hpp"

namespace fallow::auth {
namespace {

BioPtr memory_bio() {
    BioPtr bio(BIO_new(BIO_s_mem()));
    check_openssl(bio != nullptr, "writing to memory");
    return bio;
}

}  // namespace

std::string private_key_pem(EVP_PKEY* key) {
    const BioPtr bio = memory_bio();
    check_openssl(PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
                  "writing a private key");
    return bytes_of(bio.get());
}

KeyPtr parse_private_key(std::string_view pem) {
    const BioPtr bio = bio_over(pem);
    KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
    check_openssl(key != nullptr, "reading a private key");
    return key;
}

std::string certificate_pem(X509* certificate) {
    const BioPtr bio = memory_bio();
    check_openssl(PEM_write_bio_X509(bio.get(), certificate) == 1, "writing a certificate");
    return bytes_of(bio.get());
}

CertificatePtr parse_certificate(std::string_view pem) {
    const BioPtr bio = bio_over(pem);
    CertificatePtr certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    check_openssl(certificate != nullptr, "reading a certificate");
    return certificate;
}

}  // namespace fallow::auth

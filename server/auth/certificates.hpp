// Building and reading X.509 certificates (RFC 5280). Knows nothing of files, nor of what a certificate is
// for.
#pragma once

#include <string>
#include <vector>

#include "auth/openssl.hpp"
#include "base/time.hpp"

namespace fallow::auth {

struct Extension {
    int nid;            ///< NID_basic_constraints and the like
    std::string value;  ///< in OpenSSL's configuration syntax: "critical,CA:TRUE,pathlen:0"
};

struct CertificatePlan {
    std::string common_name;
    EVP_PKEY* public_key;
    Time not_before;
    Time not_after;
    std::vector<Extension> extensions;
};

[[nodiscard]] KeyPtr generate_p256_key();

/// `issuer` is the signer's certificate; null makes a self-signed one. The serial number is 127 random
/// bits.
[[nodiscard]] CertificatePtr sign_certificate(const CertificatePlan& plan, X509* issuer, EVP_PKEY* signer);

[[nodiscard]] std::string serial_hex(const X509* certificate);
[[nodiscard]] Time not_before(const X509* certificate);
[[nodiscard]] Time not_after(const X509* certificate);

/// One entry of a subjectAltName in OpenSSL's syntax ("DNS:a.example", "IP:::1"). Throws on what is neither
/// a host name nor an address, so that nothing else can reach the extension.
[[nodiscard]] std::string alternative_name(const std::string& name);
/// The certificate's alternative names in the same form, in order.
[[nodiscard]] std::vector<std::string> alternative_names(const X509* certificate);

}  // namespace fallow::auth

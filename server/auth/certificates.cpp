#include "auth/certificates.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <optional>

#include "auth/random.hpp"
#include "auth/sha256.hpp"

namespace fallow::auth {
namespace {

constexpr std::size_t serial_bytes = 16;

void set_name(X509* certificate, const std::string& common_name) {
    X509_NAME* name = X509_get_subject_name(certificate);
    check_openssl(X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, as_bytes(common_name),
                                             static_cast<int>(common_name.size()), -1, 0) == 1,
                  "setting a common name");
}

void set_serial(X509* certificate) {
    std::string bytes = random_bytes(serial_bytes);
    bytes[0] = static_cast<char>(bytes[0] & 0x7f);  // positive: RFC 5280 section 4.1.2.2
    const BignumPtr number(BN_bin2bn(as_bytes(bytes), static_cast<int>(bytes.size()), nullptr));
    check_openssl(number != nullptr &&
                      BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr,
                  "setting a serial number");
}

void set_time(ASN1_TIME* field, Time time) {
    check_openssl(ASN1_TIME_set(field, static_cast<std::time_t>(time.ms / 1000)) != nullptr,
                  "setting a time");
}

void add_extension(X509* certificate, X509* issuer, const Extension& wanted) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, wanted.nid, wanted.value.c_str()));
    check_openssl(extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1,
                  "adding a certificate extension");
}

Time time_of(const ASN1_TIME* field) {
    std::tm parts{};
    check_openssl(ASN1_TIME_to_tm(field, &parts) == 1, "reading a time");
    return Time(static_cast<std::int64_t>(timegm(&parts)) * 1000);
}

std::optional<std::string> address_bytes(const std::string& text) {
    std::array<char, 16> bytes{};
    if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) return std::string(bytes.data(), 4);
    if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1) return std::string(bytes.data(), 16);
    return std::nullopt;
}

std::string address_text(const std::string& bytes) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
    check_openssl(::inet_ntop(family, bytes.data(), text.data(), text.size()) != nullptr,
                  "reading an address");
    return text.data();
}

/// Letters, digits, '-' and '.', no empty label: RFC 1123 section 2.1, and a leading "*." for a wildcard.
bool is_host_name(std::string_view name) {
    if (name.starts_with("*.")) name.remove_prefix(2);
    if (name.empty() || name.size() > 253 || name.front() == '.' || name.back() == '.') return false;
    if (name.find("..") != std::string_view::npos) return false;
    return std::all_of(name.begin(), name.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '.';
    });
}

std::string bytes_of(const ASN1_STRING* text) {
    return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                       static_cast<std::size_t>(ASN1_STRING_length(text)));
}

using NamesPtr = std::unique_ptr<GENERAL_NAMES, Release<GENERAL_NAMES_free>>;

}  // namespace

KeyPtr generate_p256_key() {
    KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
    check_openssl(key != nullptr, "making an EC key");
    return key;
}

CertificatePtr sign_certificate(const CertificatePlan& plan, X509* issuer, EVP_PKEY* signer) {
    CertificatePtr certificate(X509_new());
    check_openssl(certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1,
                  "making a certificate");
    set_serial(certificate.get());
    set_name(certificate.get(), plan.common_name);
    X509* parent = issuer != nullptr ? issuer : certificate.get();
    check_openssl(X509_set_issuer_name(certificate.get(), X509_get_subject_name(parent)) == 1,
                  "naming the issuer");
    set_time(X509_getm_notBefore(certificate.get()), plan.not_before);
    set_time(X509_getm_notAfter(certificate.get()), plan.not_after);
    check_openssl(X509_set_pubkey(certificate.get(), plan.public_key) == 1, "setting a public key");
    for (const Extension& extension : plan.extensions)
        add_extension(certificate.get(), parent, extension);
    check_openssl(X509_sign(certificate.get(), signer, EVP_sha256()) > 0, "signing a certificate");
    return certificate;
}

std::string serial_hex(const X509* certificate) {
    const BignumPtr number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    check_openssl(number != nullptr, "reading a serial number");
    std::string bytes(static_cast<std::size_t>(BN_num_bytes(number.get())), '\0');
    BN_bn2bin(number.get(), as_bytes(bytes));
    return to_hex(bytes);
}

Time not_before(const X509* certificate) {
    return time_of(X509_get0_notBefore(certificate));
}
Time not_after(const X509* certificate) {
    return time_of(X509_get0_notAfter(certificate));
}

std::string alternative_name(const std::string& name) {
    if (const auto address = address_bytes(name)) return "IP:" + address_text(*address);
    if (!is_host_name(name))
        throw std::runtime_error("\"" + name +
                                 "\" is neither a host name nor an address; correct tls_names");
    return "DNS:" + name;
}

std::vector<std::string> alternative_names(const X509* certificate) {
    const NamesPtr names(
        static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
    std::vector<std::string> found;
    for (int i = 0; names != nullptr && i < sk_GENERAL_NAME_num(names.get()); ++i) {
        const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
        if (name->type == GEN_DNS) found.push_back("DNS:" + bytes_of(name->d.dNSName));
        if (name->type == GEN_IPADD) found.push_back("IP:" + address_text(bytes_of(name->d.iPAddress)));
    }
    return found;
}

}  // namespace fallow::auth

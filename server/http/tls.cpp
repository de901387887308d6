#include "http/tls.hpp"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <stdexcept>

#include "http/characters.hpp"
#include "http/ticket_keys.hpp"

namespace fallow::http {
namespace {

template <auto free_it>
struct Freer {
    template <class T>
    void operator()(T* pointer) const {
        free_it(pointer);
    }
};

using Bio = std::unique_ptr<BIO, Freer<BIO_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using BigNumber = std::unique_ptr<BIGNUM, Freer<BN_free>>;

// Forward secrecy and authenticated encryption only; TLS 1.3 has no others.
constexpr const char* tls12_ciphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

void require(bool is_done, const char* what) {
    if (is_done) return;
    std::array<char, 256> reason{};
    ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
    ERR_clear_error();
    throw std::runtime_error(fmt::format("TLS: {}: {}", what, reason.data()));
}

int select_alpn(SSL*, const unsigned char** chosen, unsigned char* chosen_bytes,
                const unsigned char* offered, unsigned int offered_bytes, void*) {
    static constexpr std::array<unsigned char, 9> ours = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    // OpenSSL's signature asks for a pointer that is not const; nothing is written through it.
    auto* out = const_cast<unsigned char**>(chosen);
    const int result =
        SSL_select_next_proto(out, chosen_bytes, ours.data(), ours.size(), offered, offered_bytes);
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

void set_protocol(SSL_CTX* native) {
    require(SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) == 1, "TLS 1.2 is not to be had");
    SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                    SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    require(SSL_CTX_set_cipher_list(native, tls12_ciphers) == 1, "no cipher is left");
    require(SSL_CTX_set1_groups_list(native, "X25519:P-256:P-384") == 1, "no group is left");
    SSL_CTX_set_alpn_select_cb(native, &select_alpn, nullptr);
}

void set_certificate(boost::asio::ssl::context& context, const std::string& chain_pem,
                     const std::string& key_pem) {
    boost::system::error_code error;
    context.use_certificate_chain(boost::asio::buffer(chain_pem), error);
    if (error) throw std::runtime_error("TLS: the certificate chain cannot be read: " + error.message());
    context.use_private_key(boost::asio::buffer(key_pem), boost::asio::ssl::context::pem, error);
    if (error) throw std::runtime_error("TLS: the private key cannot be used: " + error.message());
    require(SSL_CTX_check_private_key(context.native_handle()) == 1,
            "the private key is not the certificate's");
}

void trust_client_ca(SSL_CTX* context, const std::string& pem) {
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    require(bio != nullptr, "the client CA cannot be read");
    int count = 0;
    while (const Certificate certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
        require(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) == 1,
                "the client CA cannot be trusted");
        require(SSL_CTX_add_client_CA(context, certificate.get()) == 1, "the client CA cannot be named");
        ++count;
    }
    require(count > 0, "the client CA holds no certificate");
    ERR_clear_error();  // the end of the file was reported as an error
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
}

/// The usual check, at the time of our own clock.
int verify_at(X509_STORE_CTX* store, void* files) {
    X509_STORE_CTX_set_time(store, 0, static_cast<const TlsFiles*>(files)->unix_seconds());
    return X509_verify_cert(store);
}

std::string to_hex(const unsigned char* bytes, std::size_t count) {
    std::string text;
    text.reserve(count * 2);
    for (std::size_t i = 0; i < count; ++i)
        fmt::format_to(std::back_inserter(text), "{:02x}", bytes[i]);
    return text;
}

std::string common_name(X509* certificate) {
    X509_NAME* subject = X509_get_subject_name(certificate);
    const int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return {};
    unsigned char* utf8 = nullptr;
    const int size = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (size < 0) return {};
    std::string name(reinterpret_cast<const char*>(utf8), static_cast<std::size_t>(size));
    OPENSSL_free(utf8);
    // A NUL in a name has been used to make one certificate pass for another.
    return name.find('\0') == std::string::npos ? name : std::string();
}

std::string serial_hex(X509* certificate) {
    const BigNumber serial(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
    if (!serial) return {};
    std::array<unsigned char, 64> bytes{};
    if (BN_num_bytes(serial.get()) > static_cast<int>(bytes.size())) return {};
    const int size = BN_bn2bin(serial.get(), bytes.data());
    return to_hex(bytes.data(), static_cast<std::size_t>(size));
}

}  // namespace

boost::asio::ssl::context make_tls_context(const TlsFiles& files) {
    namespace ssl = boost::asio::ssl;
    ssl::context context(ssl::context::tls_server);
    SSL_CTX* native = context.native_handle();
    set_protocol(native);

    // Tickets carry the session, so the server keeps none; a resumed session skips the check of a client
    // certificate, hence the short life.
    if (!files.ticket_secret.empty()) use_ticket_keys(native, files.ticket_secret, files.unix_seconds);
    require(SSL_CTX_set_num_tickets(native, 1) == 1, "the number of tickets cannot be set");
    static constexpr std::array<unsigned char, 6> session_context = {'f', 'a', 'l', 'l', 'o', 'w'};
    SSL_CTX_set_session_cache_mode(native, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_session_id_context(native, session_context.data(), session_context.size());
    SSL_CTX_set_timeout(native, ticket_seconds_max);

    set_certificate(context, files.certificate_chain_pem, files.private_key_pem);
    if (!files.client_ca_pem.empty()) trust_client_ca(native, files.client_ca_pem);
    // OpenSSL's signature asks for a pointer that is not const; nothing is written through it.
    if (files.unix_seconds)
        SSL_CTX_set_cert_verify_callback(native, verify_at, const_cast<TlsFiles*>(&files));
    return context;
}

SubdomainTls::SubdomainTls(const SubdomainCertificate& certificate, boost::asio::ssl::context& context)
    : suffix_("." + certificate.domain), own_(boost::asio::ssl::context::tls_server) {
    SSL_CTX* const other = context.native_handle();
    set_protocol(own_.native_handle());
    set_certificate(own_, certificate.certificate_chain_pem, certificate.private_key_pem);
    SSL_CTX_set_tlsext_servername_callback(other, &SubdomainTls::select);
    SSL_CTX_set_tlsext_servername_arg(other, this);
}

int SubdomainTls::select(SSL* ssl, int*, void* self) {
    auto* const tls = static_cast<SubdomainTls*>(self);
    const char* given = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    const std::string_view name = given == nullptr ? std::string_view() : std::string_view(given);
    if (name.size() <= tls->suffix_.size()) return SSL_TLSEXT_ERR_OK;
    const std::size_t label = name.size() - tls->suffix_.size();
    if (name.find('.') != label || !equals_ignoring_case(name.substr(label), tls->suffix_))
        return SSL_TLSEXT_ERR_OK;
    SSL_set_verify(ssl, SSL_VERIFY_NONE, nullptr);
    SSL_set_SSL_CTX(ssl, tls->own_.native_handle());
    return SSL_TLSEXT_ERR_OK;
}

std::optional<PeerCertificate> peer_certificate(SSL* ssl) {
    const Certificate certificate(SSL_get1_peer_certificate(ssl));
    if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return std::nullopt;
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int digest_bytes = 0;
    if (X509_digest(certificate.get(), EVP_sha256(), digest.data(), &digest_bytes) != 1)
        return std::nullopt;
    return PeerCertificate{common_name(certificate.get()), serial_hex(certificate.get()),
                           to_hex(digest.data(), digest_bytes)};
}

RawId random_seed() {
    std::array<unsigned char, 16> bytes{};
    require(RAND_bytes(bytes.data(), bytes.size()) == 1, "no random bytes");
    RawId seed;
    for (std::size_t i = 0; i < 8; ++i) {
        seed.high = (seed.high << 8) | bytes[i];
        seed.low = (seed.low << 8) | bytes[i + 8];
    }
    return seed;
}

}  // namespace fallow::http

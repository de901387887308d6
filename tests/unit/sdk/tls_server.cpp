#include "unit/sdk/tls_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>
#include <string_view>
#include <thread>

namespace fallow::sdk::testing {
namespace {

void require(bool done) {
    if (!done) throw std::runtime_error("OpenSSL or a socket failed in a test's server");
}

EVP_PKEY* new_key() {
    EVP_PKEY* const key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256");
    require(key != nullptr);
    return key;
}

void add_extension(X509* certificate, X509* issuer, int id, const char* value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
    require(extension != nullptr);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

X509* new_certificate(const std::string& common_name, EVP_PKEY* key, long serial) {
    constexpr long hour = 3600;
    X509* const certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -hour);
    X509_gmtime_adj(X509_getm_notAfter(certificate), hour);
    X509_set_pubkey(certificate, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    return certificate;
}

template <class Write>
std::string pem_of(const Write& write) {
    BIO* const memory = BIO_new(BIO_s_mem());
    require(write(memory) == 1);
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(memory);
    return text;
}

std::string pem_of(X509* certificate) {
    return pem_of([&](BIO* memory) { return PEM_write_bio_X509(memory, certificate); });
}

std::string pem_of(EVP_PKEY* key) {
    return pem_of([&](BIO* memory) {
        return PEM_write_bio_PrivateKey(memory, key, nullptr, nullptr, 0, nullptr, nullptr);
    });
}

X509* certificate_of(const std::string& pem) {
    BIO* const memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    X509* const certificate = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
    BIO_free(memory);
    return certificate;
}

EVP_PKEY* key_of(const std::string& pem) {
    BIO* const memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
    EVP_PKEY* const key = PEM_read_bio_PrivateKey(memory, nullptr, nullptr, nullptr);
    BIO_free(memory);
    return key;
}

/// The common name of the peer's certificate, or nothing.
std::string peer_name(SSL* session) {
    X509* const certificate = SSL_get1_peer_certificate(session);
    if (certificate == nullptr) return {};
    char name[256] = {};
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof(name));
    X509_free(certificate);
    return name;
}

}  // namespace

struct TestAuthority::Impl {
    EVP_PKEY* key = new_key();
    X509* certificate = new_certificate("test authority", key, 1);
};

TestAuthority::TestAuthority() : impl_(std::make_unique<Impl>()) {
    X509* const certificate = impl_->certificate;
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    require(X509_sign(certificate, impl_->key, EVP_sha256()) > 0);
}

TestAuthority::~TestAuthority() {
    X509_free(impl_->certificate);
    EVP_PKEY_free(impl_->key);
}

std::string TestAuthority::certificate_pem() const {
    return pem_of(impl_->certificate);
}

TestAuthority::Issued TestAuthority::issue(const std::string& common_name,
                                           const std::string& alternative_name) const {
    EVP_PKEY* const key = new_key();
    X509* const certificate = new_certificate(common_name, key, 2);
    X509_set_issuer_name(certificate, X509_get_subject_name(impl_->certificate));
    if (!alternative_name.empty())
        add_extension(certificate, impl_->certificate, NID_subject_alt_name, alternative_name.c_str());
    require(X509_sign(certificate, impl_->key, EVP_sha256()) > 0);
    Issued issued{pem_of(certificate), pem_of(key)};
    X509_free(certificate);
    EVP_PKEY_free(key);
    return issued;
}

struct TlsServer::Impl {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    int listener = ::socket(AF_INET, SOCK_STREAM, 0);
    int port = 0;
    int wake[2] = {-1, -1};
    std::thread thread;

    void configure(const TestAuthority& authority, const TestAuthority::Issued& identity,
                   int version_max) const;
    void listen();
    bool readable(int descriptor) const;
    void run();
    void serve(SSL* session, int connection) const;
};

void TlsServer::Impl::configure(const TestAuthority& authority, const TestAuthority::Issued& identity,
                                int version_max) const {
    X509* const certificate = certificate_of(identity.certificate_pem);
    EVP_PKEY* const key = key_of(identity.key_pem);
    X509* const client_authority = certificate_of(authority.certificate_pem());
    SSL_CTX_set_security_level(context, 0);  // so that an old version may be offered at all
    require(SSL_CTX_use_certificate(context, certificate) == 1 &&
            SSL_CTX_use_PrivateKey(context, key) == 1);
    require(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), client_authority) == 1);
    require(SSL_CTX_set_min_proto_version(context, TLS1_VERSION) == 1);
    require(SSL_CTX_set_max_proto_version(context, version_max) == 1);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
    X509_free(client_authority);
    EVP_PKEY_free(key);
    X509_free(certificate);
}

void TlsServer::Impl::listen() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    require(listener >= 0 && ::bind(listener, generic, size) == 0 && ::listen(listener, 8) == 0 &&
            ::getsockname(listener, generic, &size) == 0 && ::pipe(wake) == 0);
    port = ntohs(address.sin_port);
}

bool TlsServer::Impl::readable(int descriptor) const {
    pollfd both[2] = {{descriptor, POLLIN, 0}, {wake[0], POLLIN, 0}};
    while (::poll(both, 2, -1) < 0) {
    }
    return both[1].revents == 0;
}

void TlsServer::Impl::run() {
    while (readable(listener)) {
        const int connection = ::accept(listener, nullptr, nullptr);
        if (connection < 0) continue;
        SSL* const session = SSL_new(context);
        SSL_set_fd(session, connection);
        if (SSL_accept(session) == 1) serve(session, connection);
        SSL_free(session);
        ::close(connection);
    }
}

/// One request without a body, one reply.
void TlsServer::Impl::serve(SSL* session, int connection) const {
    std::string head;
    while (head.find("\r\n\r\n") == std::string::npos) {
        char buffer[4096];
        if (SSL_pending(session) == 0 && !readable(connection)) return;
        const int bytes = SSL_read(session, buffer, sizeof(buffer));
        if (bytes <= 0) return;
        head.append(buffer, static_cast<std::size_t>(bytes));
    }
    const std::string name = peer_name(session);
    const std::string reply =
        "HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: " + std::to_string(name.size()) +
        "\r\n\r\n" + name;
    SSL_write(session, reply.data(), static_cast<int>(reply.size()));
    SSL_shutdown(session);
}

TlsServer::TlsServer(const TestAuthority& authority, const std::string& alternative_name, int version_max)
    : impl_(std::make_unique<Impl>()) {
    impl_->configure(authority, authority.issue("test server", alternative_name), version_max);
    impl_->listen();
    impl_->thread = std::thread([this] { impl_->run(); });
}

TlsServer::~TlsServer() {
    ::close(impl_->wake[1]);
    impl_->thread.join();
    ::close(impl_->wake[0]);
    ::close(impl_->listener);
    SSL_CTX_free(impl_->context);
}

int TlsServer::port() const {
    return impl_->port;
}

}  // namespace fallow::sdk::testing

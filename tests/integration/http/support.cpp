#include "integration/http/support.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <stdexcept>
#include <utility>

namespace fallow::http::testing {
namespace {

void require(bool is_true, const char* what) {
    if (!is_true) throw std::runtime_error(what);
}

template <class Write>
std::string to_pem(Write write) {
    const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), &BIO_free);
    require(write(bio.get()) == 1, "PEM cannot be written");
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<std::size_t>(size)};
}

std::shared_ptr<EVP_PKEY> make_key() {
    return {EVP_EC_gen("P-256"), &EVP_PKEY_free};
}

void add_extension(X509* certificate, int nid, const char* value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value);
    require(extension != nullptr, "an extension cannot be made");
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

std::shared_ptr<X509> make_certificate(const std::string& name, long serial, EVP_PKEY* key) {
    std::shared_ptr<X509> certificate(X509_new(), &X509_free);
    X509_set_version(certificate.get(), X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), serial);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
    X509_set_pubkey(certificate.get(), key);
    return certificate;
}

std::string certificate_to_pem(X509* certificate) {
    return to_pem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); });
}

void use_certificate(SSL_CTX* context, const KeyPair& pair) {
    const std::unique_ptr<BIO, int (*)(BIO*)> certificate_bio(
        BIO_new_mem_buf(pair.certificate_pem.data(), static_cast<int>(pair.certificate_pem.size())),
        &BIO_free);
    const std::unique_ptr<BIO, int (*)(BIO*)> key_bio(
        BIO_new_mem_buf(pair.key_pem.data(), static_cast<int>(pair.key_pem.size())), &BIO_free);
    const std::unique_ptr<X509, void (*)(X509*)> certificate(
        PEM_read_bio_X509(certificate_bio.get(), nullptr, nullptr, nullptr), &X509_free);
    const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(
        PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr), &EVP_PKEY_free);
    require(SSL_CTX_use_certificate(context, certificate.get()) == 1,
            "the client certificate cannot be used");
    require(SSL_CTX_use_PrivateKey(context, key.get()) == 1, "the client key cannot be used");
}

Answer parse_answer_head(std::string_view head) {
    Answer answer;
    require(head.starts_with("HTTP/1.1 "), "not an HTTP/1.1 reply");
    answer.status = std::stoi(std::string(head.substr(9, 3)));
    std::size_t at = head.find("\r\n") + 2;
    while (at < head.size() && head.substr(at, 2) != "\r\n") {
        const std::size_t end = head.find("\r\n", at);
        const std::string_view line = head.substr(at, end - at);
        const std::size_t colon = line.find(": ");
        require(colon != std::string_view::npos, "a reply's header has no colon");
        std::string name(line.substr(0, colon));
        std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
        answer.headers.emplace_back(std::move(name), std::string(line.substr(colon + 2)));
        at = end + 2;
    }
    return answer;
}

}  // namespace

Authority::Authority(const std::string& name)
    : key_(make_key()), certificate_(make_certificate(name, 1, key_.get())) {
    X509_set_issuer_name(certificate_.get(), X509_get_subject_name(certificate_.get()));
    add_extension(certificate_.get(), NID_basic_constraints, "critical,CA:TRUE");
    require(X509_sign(certificate_.get(), key_.get(), EVP_sha256()) > 0, "the CA cannot sign itself");
    certificate_pem_ = certificate_to_pem(certificate_.get());
}

KeyPair Authority::issue(const std::string& common_name, long serial) const {
    const std::shared_ptr<EVP_PKEY> key = make_key();
    const std::shared_ptr<X509> certificate = make_certificate(common_name, serial, key.get());
    X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
    add_extension(certificate.get(), NID_subject_alt_name, "IP:127.0.0.1");
    require(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0, "the CA cannot sign");
    return {certificate_to_pem(certificate.get()), to_pem([&](BIO* bio) {
                return PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
            })};
}

std::string Answer::header(std::string_view lower_case_name) const {
    const auto found = std::ranges::find(headers, lower_case_name, &Fields::value_type::first);
    return found == headers.end() ? std::string() : found->second;
}

std::string Answer::code() const {
    return nlohmann::json::parse(body).at("code").get<std::string>();
}

int connect_to(std::uint16_t port) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(socket >= 0, "no socket");
    const timeval patience{30, 0};
    const int one = 1;
    setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
        ::close(socket);
        throw std::runtime_error("the server does not listen");
    }
    return socket;
}

Client::Client(std::uint16_t port, const ClientOptions& options)
    : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free) {
    SSL_CTX* context = context_.get();
    // Level 0 lets the old versions be offered at all, so that it is the server who refuses them.
    SSL_CTX_set_security_level(context, 0);
    SSL_CTX_set_min_proto_version(context, TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, options.max_version);
    if (options.certificate) use_certificate(context, *options.certificate);
    std::string protocols;
    for (const std::string& name : options.alpn)
        protocols.append(1, static_cast<char>(name.size())).append(name);
    if (!protocols.empty())
        SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                                static_cast<unsigned>(protocols.size()));
    socket_ = options.socket >= 0 ? options.socket : connect_to(port);
    ssl_ = std::shared_ptr<SSL>(SSL_new(context), &SSL_free);
    SSL_set_fd(ssl_.get(), socket_);
    if (options.session) SSL_set_session(ssl_.get(), options.session.get());
    is_connected_ = SSL_connect(ssl_.get()) == 1;
    ERR_clear_error();
}

Client::~Client() {
    vanish();
}

void Client::vanish() {
    if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

std::string Client::alpn() const {
    const unsigned char* data = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &data, &size);
    return {reinterpret_cast<const char*>(data), size};
}

std::shared_ptr<SSL_SESSION> Client::session() const {
    return {SSL_get1_session(ssl_.get()), &SSL_SESSION_free};
}

void Client::send(std::string_view bytes) {
    require(SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size())) > 0,
            "the server takes no more bytes");
}

bool Client::fill() {
    std::array<char, 16 * 1024> space{};
    errno = 0;
    const int count = SSL_read(ssl_.get(), space.data(), static_cast<int>(space.size()));
    if (count > 0) {
        received_.append(space.data(), static_cast<std::size_t>(count));
        return true;
    }
    require(errno != EAGAIN, "the server sent nothing for 30 s");
    said_goodbye_ = SSL_get_error(ssl_.get(), count) == SSL_ERROR_ZERO_RETURN;
    ERR_clear_error();
    return false;
}

Answer Client::receive_head() {
    std::size_t end = std::string::npos;
    while ((end = received_.find("\r\n\r\n")) == std::string::npos)
        require(fill(), "the connection ended before a reply");
    Answer answer = parse_answer_head(std::string_view(received_).substr(0, end + 4));
    received_.erase(0, end + 4);
    return answer;
}

Answer Client::receive(bool has_body) {
    Answer answer = receive_head();
    if (!has_body || answer.header("content-length").empty()) return answer;
    const std::size_t size = std::stoul(answer.header("content-length"));
    while (received_.size() < size)
        require(fill(), "the connection ended within a reply");
    answer.body = received_.substr(0, size);
    received_.erase(0, size);
    return answer;
}

std::string Client::receive_until(std::string_view text) {
    std::size_t at = std::string::npos;
    while ((at = received_.find(text)) == std::string::npos)
        require(fill(), "the connection ended before the text");
    std::string before = received_.substr(0, at + text.size());
    received_.erase(0, at + text.size());
    return before;
}

bool Client::receive_end() {
    while (fill()) {
    }
    require(received_.empty(), "bytes came after the last reply");
    return said_goodbye_;
}

void Event::set() {
    const std::lock_guard lock(mutex_);
    is_set_ = true;
    changed_.notify_all();
}

void Event::wait() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return is_set_; });
}

bool Event::is_set() {
    const std::lock_guard lock(mutex_);
    return is_set_;
}

Reply ScriptedService::echo(const Request& request) {
    Reply reply;
    reply.content_type = "text/plain";
    reply.body = std::string(name_of(request.method)) + " " + request.path + "\n" + request.body;
    return reply;
}

Fixture::Fixture() {
    std::signal(SIGPIPE, SIG_IGN);  // a client may write to a connection that the server has just closed
    const KeyPair pair = authority.issue("localhost", 2);
    config.port = 0;
    config.tls.certificate_chain_pem = pair.certificate_pem;
    config.tls.private_key_pem = pair.key_pem;
    config.on_access = [this](const AccessRecord& record) {
        const std::lock_guard lock(mutex_);
        access_.push_back(record);
    };
    config.on_internal_error = [this](std::string_view message) {
        const std::lock_guard lock(mutex_);
        internal_errors_.emplace_back(message);
    };
}

Fixture::~Fixture() {
    server.reset();
}

void Fixture::start() {
    server = std::make_unique<Server>(config, service);
    server->start();
}

std::vector<AccessRecord> Fixture::access() {
    const std::lock_guard lock(mutex_);
    return access_;
}

std::vector<std::string> Fixture::internal_errors() {
    const std::lock_guard lock(mutex_);
    return internal_errors_;
}

std::string exchange_plain(std::uint16_t port, std::string_view bytes) {
    const int socket = connect_to(port);
    std::string received;
    std::array<char, 1024> space{};
    ssize_t count = ::send(socket, bytes.data(), bytes.size(), 0);
    while ((count = ::recv(socket, space.data(), space.size(), 0)) > 0)
        received.append(space.data(), static_cast<std::size_t>(count));
    const bool is_silent = count < 0 && errno == EAGAIN;
    ::close(socket);
    require(!is_silent, "the server did not close for 30 s");
    return received;
}

std::string get(std::string_view target, std::string_view fields) {
    return "GET " + std::string(target) + " HTTP/1.1\r\nHost: localhost\r\n" + std::string(fields) + "\r\n";
}

std::string post(std::string_view target, std::string_view body, std::string_view fields) {
    return "POST " + std::string(target) +
           " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
           std::string(fields) + "\r\n" + std::string(body);
}

}  // namespace fallow::http::testing

#include "http/peer_client.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>
#include <utility>

#include "http/characters.hpp"

namespace fallow::http {
namespace {

constexpr int slice_ms = 100;  // between two questions whether to go on
constexpr std::size_t head_bytes_max = 64 * 1024;
constexpr std::size_t body_bytes_max = 16 * 1024 * 1024;
constexpr std::array<std::string_view, 10> request_headers_of_connection = {
    "connection", "content-length",    "expect",  "host",    "keep-alive",
    "te",         "transfer-encoding", "trailer", "upgrade", "proxy-connection"};
/// Written anew by the session that passes the reply on.
constexpr std::array<std::string_view, 4> reply_headers_of_session = {
    "strict-transport-security", "x-content-type-options", "x-request-id", "date"};

template <auto release>
struct Releaser {
    template <class T>
    void operator()(T* object) const {
        release(object);
    }
};
using ContextPtr = std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Releaser<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, Releaser<BIO_free>>;
using CertificatePtr = std::unique_ptr<X509, Releaser<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;

void require(bool good, const char* what) {
    if (good) return;
    ERR_clear_error();
    throw PeerError(std::string("TLS to a peer: ") + what, false);
}

BioPtr bio_over(const std::string& text) {
    return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

ContextPtr make_context(const PeerSettings& settings) {
    ContextPtr context(SSL_CTX_new(TLS_client_method()));
    require(context != nullptr, "no context");
    require(SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1, "no TLS 1.3");
    const CertificatePtr ca(PEM_read_bio_X509(bio_over(settings.ca_pem).get(), nullptr, nullptr, nullptr));
    const CertificatePtr own(
        PEM_read_bio_X509(bio_over(settings.certificate_chain_pem).get(), nullptr, nullptr, nullptr));
    const KeyPtr key(
        PEM_read_bio_PrivateKey(bio_over(settings.private_key_pem).get(), nullptr, nullptr, nullptr));
    require(ca && own && key, "the certificates cannot be read");
    require(X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), ca.get()) == 1, "the CA");
    require(SSL_CTX_use_certificate(context.get(), own.get()) == 1, "the certificate");
    require(SSL_CTX_use_PrivateKey(context.get(), key.get()) == 1, "the key");
    // The authority signs nothing but this installation's servers for serverAuth, which is checked; under
    // which of its names a replica is reached is not.
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    X509_VERIFY_PARAM_set_time(SSL_CTX_get0_param(context.get()), settings.now_seconds);
    return context;
}

std::pair<std::string, std::string> split_address(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    if (colon == std::string::npos) throw PeerError("\"" + address + "\" is no host:port", false);
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    return {host, address.substr(colon + 1)};
}

/// Closes what it owns.
class Socket {
  public:
    Socket() = default;
    explicit Socket(int handle) : handle_(handle) {}
    ~Socket() {
        if (handle_ >= 0) close(handle_);
    }
    Socket(Socket&& other) noexcept : handle_(std::exchange(other.handle_, -1)) {}
    Socket& operator=(Socket&& other) noexcept {
        std::swap(handle_, other.handle_);
        return *this;
    }
    [[nodiscard]] int handle() const { return handle_; }

  private:
    int handle_ = -1;
};

/// Whether the socket became ready before somebody gave up.
bool await(int handle, short events, const PeerClient::GoOn& go_on) {
    while (go_on()) {
        pollfd waited{handle, events, 0};
        const int ready = poll(&waited, 1, slice_ms);
        if (ready > 0) return true;
        if (ready < 0 && errno != EINTR) return false;
    }
    return false;
}

Socket connect_to(const std::string& address, const PeerClient::GoOn& go_on) {
    const auto [host, port] = split_address(address);
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0)
        throw PeerError("\"" + host + "\" has no address", false);
    const std::unique_ptr<addrinfo, Releaser<freeaddrinfo>> list(found);
    for (const addrinfo* at = list.get(); at != nullptr; at = at->ai_next) {
        Socket socket(::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
        if (socket.handle() < 0) continue;
        const int one = 1;
        setsockopt(socket.handle(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(socket.handle(), at->ai_addr, at->ai_addrlen) == 0) return socket;
        int error = errno;
        socklen_t size = sizeof error;
        if (error != EINPROGRESS || !await(socket.handle(), POLLOUT, go_on)) continue;
        if (getsockopt(socket.handle(), SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0)
            return socket;
    }
    throw PeerError("nobody answers at " + address, false);
}

std::string head_of(const Request& request) {
    std::string head(name_of(request.method));
    head += ' ' + request.target + " HTTP/1.1\r\nHost: peer\r\n";
    head += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
    for (const auto& [name, value] : request.headers)
        if (std::ranges::find(request_headers_of_connection, name) == request_headers_of_connection.end())
            head.append(name).append(": ").append(value).append("\r\n");
    return head + "\r\n";
}

std::string lower(std::string_view text) {
    std::string lowered(text);
    for (char& c : lowered)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    return lowered;
}

template <class Integer>
Integer number_of(std::string_view text) {
    Integer value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size())
        throw PeerError("a peer's reply cannot be read", true);
    return value;
}

struct ReplyHead {
    Reply reply;
    std::size_t body_bytes = 0;
    bool keeps_alive = true;
};

/// `head` without its last empty line.
ReplyHead parse_head(std::string_view head) {
    ReplyHead parsed;
    std::size_t end = head.find("\r\n");
    const std::string_view status = head.substr(0, end);
    if (!status.starts_with("HTTP/1.1 ") || status.size() < 12)
        throw PeerError("a peer's reply cannot be read", true);
    parsed.reply.status = number_of<int>(status.substr(9, 3));
    parsed.reply.content_type.clear();
    while (end != std::string_view::npos) {
        head.remove_prefix(end + 2);
        end = head.find("\r\n");
        const std::string_view line = head.substr(0, end);
        const std::size_t colon = line.find(": ");
        if (colon == std::string_view::npos) continue;
        const std::string name = lower(line.substr(0, colon));
        const std::string_view value = line.substr(colon + 2);
        if (name == "content-length")
            parsed.body_bytes = number_of<std::size_t>(value);
        else if (name == "content-type")
            parsed.reply.content_type = value;
        else if (name == "connection")
            parsed.keeps_alive = value != "close";
        else if (name == "transfer-encoding")
            throw PeerError("a peer's reply has no known end", true);
        else if (std::ranges::find(reply_headers_of_session, name) == reply_headers_of_session.end())
            parsed.reply.headers.emplace_back(line.substr(0, colon), value);
    }
    if (parsed.body_bytes > body_bytes_max) throw PeerError("a peer's reply is too large", true);
    return parsed;
}

}  // namespace

struct PeerClient::Impl {
    ContextPtr context;
    Socket socket;
    SslPtr ssl;
    std::string input;
    bool keeps_alive = true;

    /// Calls `step` until it is done; its result is OpenSSL's. False when the other side has gone.
    template <class Step>
    bool drive(Step&& step, const GoOn& go_on) {
        while (true) {
            ERR_clear_error();
            const int result = step();
            if (result > 0) return true;
            const int error = SSL_get_error(ssl.get(), result);
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) return false;
            if (!await(socket.handle(), error == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, go_on))
                return false;
        }
    }
    void write(std::string_view bytes, bool& has_sent, const GoOn& go_on);
    void read_more(const GoOn& go_on);
};

void PeerClient::Impl::write(std::string_view bytes, bool& has_sent, const GoOn& go_on) {
    while (!bytes.empty()) {
        std::size_t written = 0;
        const bool good =
            drive([&] { return SSL_write_ex(ssl.get(), bytes.data(), bytes.size(), &written); }, go_on);
        if (!good) throw PeerError("the peer has gone", has_sent);
        has_sent = true;
        bytes.remove_prefix(written);
    }
}

void PeerClient::Impl::read_more(const GoOn& go_on) {
    std::array<char, 16 * 1024> buffer;
    std::size_t count = 0;
    if (!drive([&] { return SSL_read_ex(ssl.get(), buffer.data(), buffer.size(), &count); }, go_on))
        throw PeerError("the peer has gone before it replied", true);
    input.append(buffer.data(), count);
}

PeerClient::PeerClient(const PeerSettings& settings, const GoOn& go_on) : impl_(std::make_unique<Impl>()) {
    impl_->context = make_context(settings);
    impl_->socket = connect_to(settings.address, go_on);
    impl_->ssl.reset(SSL_new(impl_->context.get()));
    require(impl_->ssl != nullptr && SSL_set_fd(impl_->ssl.get(), impl_->socket.handle()) == 1,
            "no session");
    SSL* const ssl = impl_->ssl.get();
    if (!impl_->drive([ssl] { return SSL_connect(ssl); }, go_on))
        throw PeerError("the TLS handshake with " + settings.address + " failed", false);
}

PeerClient::~PeerClient() = default;

bool PeerClient::is_alive() const {
    if (!impl_->keeps_alive || !impl_->input.empty()) return false;
    // Nothing is due: what can be read now is the other side's goodbye, or a ticket of TLS.
    char byte = 0;
    std::size_t count = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(impl_->ssl.get(), &byte, 1, &count);
    return result == 0 && SSL_get_error(impl_->ssl.get(), result) == SSL_ERROR_WANT_READ;
}

Reply PeerClient::exchange(const Request& request, const GoOn& go_on) {
    bool has_sent = false;
    impl_->write(head_of(request) + request.body, has_sent, go_on);
    std::size_t end = std::string::npos;
    while ((end = impl_->input.find("\r\n\r\n")) == std::string::npos) {
        if (impl_->input.size() > head_bytes_max) throw PeerError("a peer's reply has no end", true);
        impl_->read_more(go_on);
    }
    ReplyHead head = parse_head(std::string_view(impl_->input).substr(0, end));
    impl_->input.erase(0, end + 4);
    while (impl_->input.size() < head.body_bytes)
        impl_->read_more(go_on);
    head.reply.body = impl_->input.substr(0, head.body_bytes);
    impl_->input.erase(0, head.body_bytes);
    impl_->keeps_alive = head.keeps_alive;
    return std::move(head.reply);
}

}  // namespace fallow::http

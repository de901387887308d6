#include "http/peer_client.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "http/peer_wire.hpp"

namespace fallow::http {
namespace {

constexpr int slice_ms = 100;  // between two questions whether to go on

using SslPtr = std::unique_ptr<SSL, Releaser<SSL_free>>;

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
    const auto [host, port] = split_peer_address(address);
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

}  // namespace

struct PeerClient::Impl {
    PeerContextPtr context;
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
    impl_->context = make_peer_context(settings);
    impl_->socket = connect_to(settings.address, go_on);
    impl_->ssl.reset(SSL_new(impl_->context.get()));
    const bool has_session =
        impl_->ssl != nullptr && SSL_set_fd(impl_->ssl.get(), impl_->socket.handle()) == 1;
    if (!has_session) throw PeerError("TLS to a peer: no session", false);
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
    impl_->write(peer_request_head(request) + request.body, has_sent, go_on);
    std::size_t end = std::string::npos;
    while ((end = impl_->input.find("\r\n\r\n")) == std::string::npos) {
        if (impl_->input.size() > peer_head_bytes_max) throw PeerError("a peer's reply has no end", true);
        impl_->read_more(go_on);
    }
    PeerReplyHead head = parse_peer_reply(std::string_view(impl_->input).substr(0, end));
    impl_->input.erase(0, end + 4);
    while (impl_->input.size() < head.body_bytes)
        impl_->read_more(go_on);
    head.reply.body = impl_->input.substr(0, head.body_bytes);
    impl_->input.erase(0, head.body_bytes);
    impl_->keeps_alive = head.keeps_alive;
    return std::move(head.reply);
}

}  // namespace fallow::http

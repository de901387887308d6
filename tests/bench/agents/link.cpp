#include "bench/agents/link.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <utility>

namespace fallow::bench {
namespace {

int place_of_link() {
    static const int place = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
    return place;
}

int keep_session(SSL* ssl, SSL_SESSION* session) {
    auto* link = static_cast<Link*>(SSL_get_ex_data(ssl, place_of_link()));
    if (link == nullptr) return 0;
    link->keep(session);
    return 1;
}

}  // namespace

Owned<SSL_CTX> make_client_context(const std::string& ca_file) {
    Owned<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1)
        throw std::runtime_error("cannot use " + ca_file);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), keep_session);
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    // A killed server says no goodbye; its sessions are to be resumed all the same.
    SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    return context;
}

std::size_t reply_size(std::string_view reply) {
    const auto end = reply.find("\r\n\r\n");
    if (end == std::string_view::npos) return 0;
    std::string head(reply.substr(0, end));
    std::transform(head.begin(), head.end(), head.begin(), [](unsigned char c) { return std::tolower(c); });
    const auto length = head.find("\r\ncontent-length:");
    return end + 4 + (length == std::string::npos ? 0 : std::stoul(head.substr(length + 17)));
}

bool Link::connect() {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) throw std::runtime_error("no more sockets: raise the limit of open files (ulimit -n)");
    ++wire_.open;
    const int on = 1;
    ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(wire_.port);
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    if (::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS)
        return false;
    epoll_event wanted{};
    wanted.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    wanted.data.ptr = this;
    ::epoll_ctl(wire_.poller, EPOLL_CTL_ADD, socket_, &wanted);
    state_ = State::connecting;
    return true;
}

bool Link::make_tls() {
    ssl_.reset(SSL_new(wire_.context.get()));
    SSL_set_fd(ssl_.get(), socket_);
    SSL_set_ex_data(ssl_.get(), place_of_link(), this);
    if (certificate_ != nullptr) {
        SSL_use_certificate(ssl_.get(), certificate_);
        SSL_use_PrivateKey(ssl_.get(), wire_.key.get());
    }
    if (session_) SSL_set_session(ssl_.get(), session_.get());
    SSL_set_connect_state(ssl_.get());
    return ssl_ != nullptr;
}

void Link::send(std::string request, Done done) {
    request_ = std::move(request);
    reply_.clear();
    done_ = std::move(done);
    was_refused_ = false;
    if (socket_ < 0 && !connect()) {
        was_refused_ = true;
        return finish(0);
    }
    if (state_ == State::idle) {
        state_ = State::writing;
        step();
    }
}

void Link::probe(Done done) {
    send({}, std::move(done));
}

/// After an OpenSSL call that did not succeed: true when the socket has to become ready first.
bool Link::wants_more(int result) {
    const int reason = SSL_get_error(ssl_.get(), result);
    ERR_clear_error();
    if (reason == SSL_ERROR_WANT_READ || reason == SSL_ERROR_WANT_WRITE) return true;
    finish(0);
    return false;
}

void Link::step() {
    if (state_ == State::connecting) {
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
        was_refused_ = error == ECONNREFUSED;
        if (error != 0 || request_.empty() || !make_tls()) return finish(0);
        state_ = State::handshaking;
    }
    if (state_ == State::handshaking) {
        const int result = SSL_do_handshake(ssl_.get());
        if (result != 1) return static_cast<void>(wants_more(result));
        ++wire_.handshakes;
        wire_.resumed += static_cast<std::size_t>(SSL_session_reused(ssl_.get()));
        state_ = State::writing;
    }
    if (state_ == State::writing) {
        const int result = SSL_write(ssl_.get(), request_.data(), static_cast<int>(request_.size()));
        if (result <= 0) return static_cast<void>(wants_more(result));
        state_ = State::reading;
    }
    if (state_ == State::reading || state_ == State::idle) read();
}

void Link::read() {
    std::array<char, 16384> buffer;
    while (socket_ >= 0) {
        const int count = SSL_read(ssl_.get(), buffer.data(), static_cast<int>(buffer.size()));
        if (count <= 0) return static_cast<void>(wants_more(count));
        reply_.append(buffer.data(), static_cast<std::size_t>(count));
        const std::size_t size = reply_size(reply_);
        if (state_ == State::reading && size > 0 && reply_.size() >= size)
            return finish(std::stoi(reply_.substr(9, 3)));
    }
}

void Link::on_ready() {
    // Between its being ready and now it may have been closed; an idle one that is readable has been ended.
    if (socket_ >= 0 && state_ != State::closed) step();
}

void Link::finish(int status) {
    if (status == 0)
        close();
    else
        state_ = State::idle;
    const Done done = std::exchange(done_, nullptr);
    const std::string reply = std::exchange(reply_, {});
    const auto head = reply.find("\r\n\r\n");
    if (done) done(status, status == 0 ? std::string_view() : std::string_view(reply).substr(head + 4));
}

void Link::close() {
    // Else OpenSSL would not resume the session of a connection that broke.
    if (ssl_) SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    ssl_.reset();
    if (socket_ < 0) return;
    ::close(std::exchange(socket_, -1));
    --wire_.open;
    state_ = State::closed;
}

}  // namespace fallow::bench

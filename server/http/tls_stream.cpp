#include "http/tls_stream.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <stdexcept>

namespace fallow::http {
namespace {

namespace asio = boost::asio;

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL, and a peer that has gone would end a program that
// does not ignore SIGPIPE.

int socket_of(BIO* bio) {
    return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

bool may_pass(ssize_t count) {
    return count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
}

int bio_write(BIO* bio, const char* data, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = ::send(socket_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
    if (may_pass(count)) BIO_set_retry_write(bio);
    return static_cast<int>(count);
}

int bio_read(BIO* bio, char* data, int size) {
    BIO_clear_retry_flags(bio);
    const ssize_t count = ::recv(socket_of(bio), data, static_cast<std::size_t>(size), 0);
    if (may_pass(count)) BIO_set_retry_read(bio);
    return static_cast<int>(count);
}

long bio_control(BIO*, int command, long, void*) {
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* make_method() {
    BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without SIGPIPE");
    if (method == nullptr) throw std::runtime_error("TLS: no memory for a BIO's methods");
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

BIO* make_bio(int socket) {
    static BIO_METHOD* const method = make_method();  // as long as the process
    BIO* const bio = BIO_new(method);
    if (bio == nullptr) throw std::runtime_error("TLS: no memory for a BIO");
    BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
    BIO_set_init(bio, 1);
    return bio;
}

int int_size(std::size_t size) {
    return static_cast<int>(std::min<std::size_t>(size, INT_MAX));
}

}  // namespace

TlsStream::TlsStream(Socket socket, SSL_CTX* context) : socket_(std::move(socket)), ssl_(SSL_new(context)) {
    if (!ssl_) throw std::runtime_error("TLS: no memory for a connection");
    // Buffers only while there is something in them; whole records at once; a write may go on from
    // elsewhere.
    SSL_set_mode(ssl_.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_read_ahead(ssl_.get(), 1);
}

void TlsStream::attach(asio::ssl::stream_base::handshake_type side) {
    boost::system::error_code gone;  // a socket without its peer is found out by the handshake
    socket_.native_non_blocking(true, gone);
    BIO* const bio = make_bio(socket_.native_handle());
    SSL_set_bio(ssl_.get(), bio, bio);
    if (side == asio::ssl::stream_base::server)
        SSL_set_accept_state(ssl_.get());
    else
        SSL_set_connect_state(ssl_.get());
}

/// Of a call that returned `result`, with OpenSSL's queue of errors empty before it.
TlsStream::Step TlsStream::step_of(int result) const {
    if (result > 0) return {Need::nothing, {}, static_cast<std::size_t>(result)};
    const int reason = SSL_get_error(ssl_.get(), result);
    ERR_clear_error();
    if (reason == SSL_ERROR_WANT_READ) return {Need::readable, {}, 0};
    if (reason == SSL_ERROR_WANT_WRITE) return {Need::writable, {}, 0};
    if (reason == SSL_ERROR_ZERO_RETURN) return {Need::nothing, asio::error::eof, 0};
    return {Need::nothing, asio::error::connection_reset, 0};
}

TlsStream::Step TlsStream::handshake(Bytes) {
    ERR_clear_error();
    return step_of(SSL_do_handshake(ssl_.get()));
}

TlsStream::Step TlsStream::read(Bytes into) {
    if (into.size == 0) return {};
    ERR_clear_error();
    return step_of(SSL_read(ssl_.get(), into.data, int_size(into.size)));
}

TlsStream::Step TlsStream::write(Bytes from) {
    if (from.size == 0) return {};
    ERR_clear_error();
    return step_of(SSL_write(ssl_.get(), from.data, int_size(from.size)));
}

TlsStream::Step TlsStream::shutdown(Bytes) {
    ERR_clear_error();
    int result = SSL_shutdown(ssl_.get());
    if (result == 0) result = SSL_shutdown(ssl_.get());  // ours is sent; now for theirs
    return step_of(result);
}

}  // namespace fallow::http

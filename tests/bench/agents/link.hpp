// One keep-alive HTTPS connection of the swarm: one request at a time, never blocking, over one epoll.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace fallow::bench {

struct SslDeleter {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
    void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
    void operator()(SSL_SESSION* session) const { SSL_SESSION_free(session); }
    void operator()(X509* certificate) const { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
template <class T>
using Owned = std::unique_ptr<T, SslDeleter>;

/// What all links have in common.
struct Wire {
    int poller = -1;  ///< epoll
    std::uint16_t port = 0;
    Owned<SSL_CTX> context;
    Owned<EVP_PKEY> key;  ///< hosts share it; their certificates differ
    std::size_t open = 0;
    std::size_t handshakes = 0;
    std::size_t resumed = 0;
};

/// Verifies the server by `ca_file`, and keeps the newest session of each link.
[[nodiscard]] Owned<SSL_CTX> make_client_context(const std::string& ca_file);

class Link {
  public:
    /// With the reply's status and body; 0 when there was none.
    using Done = std::function<void(int status, std::string_view body)>;

    Link(Wire& wire, X509* certificate) : wire_(wire), certificate_(certificate) {}
    ~Link() { close(); }
    Link(const Link&) = delete;
    Link& operator=(const Link&) = delete;

    [[nodiscard]] bool is_busy() const { return state_ != State::idle && state_ != State::closed; }
    [[nodiscard]] bool is_open() const { return socket_ >= 0; }
    /// Whether the last request failed because nobody listened.
    [[nodiscard]] bool was_refused() const { return was_refused_; }
    /// Connects first if it has to. Not while busy. `done` may be called from within.
    void send(std::string request, Done done);
    /// Connects, and hangs up: then `was_refused` is known. Not while busy or connected.
    void probe(Done done);
    /// Whatever is under way fails.
    void give_up() { finish(0); }
    void on_ready();
    void close();
    void keep(SSL_SESSION* session) { session_.reset(session); }

  private:
    enum class State { closed, connecting, handshaking, writing, reading, idle };

    bool connect();
    bool make_tls();
    void step();
    [[nodiscard]] bool wants_more(int result);
    void read();
    void finish(int status);

    Wire& wire_;
    X509* certificate_;
    Owned<SSL> ssl_;
    Owned<SSL_SESSION> session_;
    int socket_ = -1;
    State state_ = State::closed;
    bool was_refused_ = false;
    std::string request_;
    std::string reply_;
    Done done_;
};

/// The length of a whole reply, or 0 while its head has not come.
[[nodiscard]] std::size_t reply_size(std::string_view reply);

}  // namespace fallow::bench

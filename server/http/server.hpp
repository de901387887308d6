// The HTTPS server: accepts, terminates TLS 1.2 and 1.3, reads strict HTTP/1.1, calls the Service, replies.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "http/service.hpp"

namespace fallow::http {

struct TlsFiles {
    std::string certificate_chain_pem;  ///< contents, not a path
    std::string private_key_pem;
    std::string client_ca_pem;  ///< client certificates are optional, and verified against this when given
    /// Seconds since 1970 by which client certificates are judged; empty: the wall clock, which may be set.
    std::function<std::int64_t()> unix_seconds;
    /// What the keys of session tickets are derived from (it needs unix_seconds, too); empty: keys of this
    /// process alone. Servers with the same one take each other's tickets.
    std::string ticket_secret;
};

/// Another certificate, for the names one level below a domain.
struct SubdomainCertificate {
    std::string domain;  ///< in lower case; empty: there is none
    std::string certificate_chain_pem;
    std::string private_key_pem;
};

/// How long one exchange with a program in a job may take.
struct GuestLimits {
    std::int64_t open_ms_max = 45'000;   ///< the agent, and its engine
    std::int64_t idle_ms_max = 600'000;  ///< without a byte either way
    std::int64_t total_ms_max = 86'400'000;
};

/// Defaults come from base/limits.hpp; a test may tighten them.
struct ServerLimits {
    std::size_t header_bytes_max;
    std::size_t header_count_max;
    std::size_t target_bytes_max;
    std::int64_t handshake_timeout_ms;
    std::int64_t header_timeout_ms;    ///< from a head's first byte to its last
    std::size_t body_bytes_per_s_min;  ///< after a first header_timeout_ms that a body may take in any case
    std::int64_t idle_timeout_ms;
    std::int64_t drain_grace_ms;    ///< while draining, an idle connection may bring one more request
    std::int64_t write_timeout_ms;  ///< for each 64 KiB of a reply: slower readers are cut
    std::int64_t stream_heartbeat_ms;
    std::int64_t linger_timeout_ms;
    std::size_t linger_bytes_max;
    std::size_t connections_max;
    std::size_t connections_refused_max;  ///< so many more are told 503 over TLS; beyond them TCP is closed
    GuestLimits guest;
    ServerLimits();
};

/// One finished exchange, for the access log and the metrics.
struct AccessRecord {
    std::string request_id;
    std::string method;
    std::string path;
    std::string remote_address;
    int status = 0;
    std::size_t bytes_in = 0;
    std::size_t bytes_out = 0;
    std::int64_t duration_us = 0;  ///< from the head's last byte to the reply's
    std::string user_agent;
    std::string traceparent;
    bool is_relayed = false;  ///< it was for a program in a job, whose status it may be
};

struct ServerConfig {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8443;  ///< 0: the system picks; see Server::port()
    unsigned threads = 1;
    TlsFiles tls;
    SubdomainCertificate subdomains = {};
    ServerLimits limits;
    // Both may be empty. They are called on the server's threads: at once from several when there are
    // several.
    std::function<void(const AccessRecord&)> on_access;
    std::function<void(std::string_view message)> on_internal_error;  ///< an exception or a dropped promise
};

class Server {
  public:
    /// Binds and listens; throws std::system_error when the address cannot be had and std::runtime_error
    /// when the certificates cannot be used.
    Server(ServerConfig config, Service& service);
    ~Server();
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;

    /// Starts the threads; called once.
    void start();
    [[nodiscard]] std::uint16_t port() const;
    /// Closes the listener, lets what is in flight finish, ends streams, and closes connections after their
    /// next reply, or after drain_grace_ms without a request; returns when
    /// all sessions are gone or `timeout_ms` has passed (then the rest are cut). Idempotent. Never from a
    /// thread of the server, and so not from within the Service.
    void drain(std::int64_t timeout_ms);
    [[nodiscard]] std::size_t connections() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::http

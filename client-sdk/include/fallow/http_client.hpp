// The HTTP transport of everything in client-sdk: one request, one reply, over libcurl.
//
// It is a transport and nothing more. It knows no route of Fallow, does not retry, follows no redirect and
// gives no meaning to a status: client.hpp does that for the public API, and the agent for its own routes
// and for the container engine's socket.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fallow::sdk {

enum class TransportErrorKind {
    timeout,    ///< a deadline passed before the reply was complete
    refused,    ///< no connection: unknown host, closed port, no such socket
    tls,        ///< the peer's or our certificate was not accepted
    cancelled,  ///< the request's stop token was triggered
    too_large,  ///< the reply exceeds response_bytes_max
    other,      ///< the connection broke, or the peer does not speak HTTP
};

[[nodiscard]] std::string_view name_of(TransportErrorKind kind);

/// There is no reply. The request may have been carried out all the same.
class TransportError : public std::runtime_error {
  public:
    TransportError(TransportErrorKind kind, const std::string& what)
        : std::runtime_error(what), kind_(kind) {}
    [[nodiscard]] TransportErrorKind kind() const { return kind_; }

  private:
    TransportErrorKind kind_;
};

struct HttpClientOptions {
    std::string base_url;  ///< "https://host:port", or "http://localhost" with a unix socket; a path prefix
                           ///< may follow
    std::string ca_file;   ///< the only certificate authority trusted; empty: those of the system
    std::string bearer_key;  ///< sent as "Authorization: Bearer …"; never over plain HTTP off this machine
    std::string client_certificate_file;  ///< PEM chain, for mutual TLS
    std::string client_key_file;          ///< PEM
    std::string unix_socket_path;         ///< connect there instead of to the URL's host
    std::string user_agent = "fallow-sdk/0.1";
    /// Seconds since 1970 by which the server's certificate is judged; empty: the wall clock, which may be
    /// set.
    std::function<std::int64_t()> unix_seconds;
    std::int64_t connect_timeout_ms = 10'000;
    std::size_t response_bytes_max = std::size_t{32} * 1024 * 1024;  ///< bound on a body kept in memory
};

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
    std::string method = "GET";
    std::string
        path;  ///< appended to base_url; starts with '/', escaped by the caller (url.hpp), with its query
    std::string body;
    std::string content_type;          ///< empty: none is sent
    HttpHeaders headers;               ///< in addition to those the client sends itself
    std::int64_t timeout_ms = 30'000;  ///< for the whole exchange; 0: none
    /// A stream is given up when not one byte came for this long; 0: never. Rounded up to seconds. Counts
    /// with stream() only.
    std::int64_t idle_timeout_ms = 0;
    /// Instead of `body`: fills the buffer and returns how many bytes it wrote, 0 at the end.
    std::function<std::size_t(char* buffer, std::size_t capacity)> body_source;
    std::int64_t body_source_bytes = -1;  ///< -1: not known, sent chunked
    /// Opens a connection of its own. On a kept one that the server has just closed, libcurl sends a
    /// request a second time by itself: not for one that must not be carried out twice.
    bool fresh_connection = false;
    std::stop_token stop;  ///< ends the exchange within about a second, as TransportError cancelled
};

struct HttpResponse {
    int status = 0;
    HttpHeaders headers;  ///< names in lower case, in the order of arrival
    std::string body;

    /// The first header of that name (lower case), or an empty view.
    [[nodiscard]] std::string_view header(std::string_view name) const;
    [[nodiscard]] bool ok() const { return status >= 200 && status < 300; }
};

/// Keeps its connection alive between requests. One thread at a time: give every thread a client of its
/// own.
class HttpClient {
  public:
    /// Throws std::invalid_argument for a base URL that is not http(s), or a key that would travel in clear
    /// text.
    explicit HttpClient(HttpClientOptions options);
    ~HttpClient();
    HttpClient(HttpClient&&) noexcept;
    HttpClient& operator=(HttpClient&&) noexcept;
    HttpClient(const HttpClient&) = delete;
    HttpClient& operator=(const HttpClient&) = delete;

    /// The reply, whatever its status. Throws TransportError when there is none.
    [[nodiscard]] HttpResponse send(const HttpRequest& request);

    /// Status and headers, before the first byte of the body; its body is empty.
    using OnHead = std::function<void(const HttpResponse& head)>;
    /// False ends the stream at once, without an error.
    using OnChunk = std::function<bool(std::string_view chunk)>;

    /// As send(), but the body of a 2xx reply goes to `on_chunk` piece by piece and is bounded by nothing;
    /// any other body is collected in the reply. An exception of a callback ends the stream and comes out
    /// here.
    HttpResponse stream(const HttpRequest& request, const OnHead& on_head, const OnChunk& on_chunk);

    [[nodiscard]] const HttpClientOptions& options() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Whether nobody listens at the server's address: a connection without TLS is tried, and ended at once.
/// False when that is not known after `timeout_ms`.
[[nodiscard]] bool is_refused(const HttpClientOptions& options, std::int64_t timeout_ms);

}  // namespace fallow::sdk

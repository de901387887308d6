// What a server says to another server and how it reads the answer: TLS settings, heads, addresses. No
// socket is touched here.
#pragma once

#include <openssl/ssl.h>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "http/peer_client.hpp"

namespace fallow::http {

inline constexpr std::size_t peer_head_bytes_max = 64 * 1024;

template <auto release>
struct Releaser {
    template <class T>
    void operator()(T* object) const {
        release(object);
    }
};
using PeerContextPtr = std::unique_ptr<SSL_CTX, Releaser<SSL_CTX_free>>;

/// TLS 1.3 as a client that shows its certificate. Throws PeerError.
[[nodiscard]] PeerContextPtr make_peer_context(const PeerSettings& settings);

/// Host and port of "host:port" or "[address]:port". Throws PeerError.
[[nodiscard]] std::pair<std::string, std::string> split_peer_address(const std::string& address);

/// A request's head with its own headers less those of its connection. One that asks for a tunnel has no
/// body.
[[nodiscard]] std::string peer_request_head(const Request& request, bool asks_for_tunnel = false);

struct PeerReplyHead {
    Reply reply;
    std::size_t body_bytes = 0;
    bool keeps_alive = true;
};
/// `head` without its last empty line. Throws PeerError.
[[nodiscard]] PeerReplyHead parse_peer_reply(std::string_view head);

}  // namespace fallow::http

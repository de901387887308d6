// The keys that encrypt TLS session tickets: derived from one secret and the time, so that servers with the
// same secret, and a server that starts again, take each other's tickets. Ten thousand agents that come
// back at once then cost no ten thousand handshakes with certificates.
//
// Forward secrecy: tickets are given in TLS 1.3 only, where a resumed session makes a fresh key exchange,
// so that whoever learns the secret later can read no recorded traffic with it.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <functional>
#include <string>

namespace fallow::http {

/// How long a ticket is taken. A key encrypts for as long, and is accepted for as long after.
inline constexpr std::int64_t ticket_seconds_max = 300;

/// Installs them in `context`, which owns them from then on. `unix_seconds` is the time. Throws
/// std::runtime_error when OpenSSL has no memory.
void use_ticket_keys(SSL_CTX* context, std::string secret, std::function<std::int64_t()> unix_seconds);

}  // namespace fallow::http

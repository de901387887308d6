// What TLS is spoken: versions, ciphers, ALPN, client certificates. Everything OpenSSL is called for
// directly.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <optional>

#include "base/ids.hpp"
#include "http/message.hpp"
#include "http/server.hpp"

namespace fallow::http {

/// Throws std::runtime_error when a certificate or key cannot be read or the key is not the certificate's.
[[nodiscard]] boost::asio::ssl::context make_tls_context(const TlsFiles& files);

/// The verified certificate of the other side of a finished handshake, if it sent one.
[[nodiscard]] std::optional<PeerCertificate> peer_certificate(SSL* ssl);

/// 128 bits from OpenSSL's generator. Throws std::runtime_error when it has none.
[[nodiscard]] RawId random_seed();

}  // namespace fallow::http

// What TLS is spoken: versions, ciphers, ALPN, client certificates. Everything OpenSSL is called for
// directly.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include <optional>
#include <string>

#include "base/ids.hpp"
#include "http/message.hpp"
#include "http/server.hpp"

namespace fallow::http {

/// Throws std::runtime_error when a certificate or key cannot be read or the key is not the certificate's.
[[nodiscard]] boost::asio::ssl::context make_tls_context(const TlsFiles& files);

/// The certificate that names one level below a domain are answered with. A client that asks for one of
/// them is not asked for a certificate of its own.
class SubdomainTls {
  public:
    /// Throws as make_tls_context does. `context` is for all other names; once this is gone nobody may
    /// shake hands under it any more.
    SubdomainTls(const SubdomainCertificate& certificate, boost::asio::ssl::context& context);
    SubdomainTls(const SubdomainTls&) = delete;
    SubdomainTls& operator=(const SubdomainTls&) = delete;

  private:
    static int select(SSL* ssl, int* alert, void* self);

    const std::string suffix_;  ///< ".domain"
    boost::asio::ssl::context own_;
};

/// The verified certificate of the other side of a finished handshake, if it sent one.
[[nodiscard]] std::optional<PeerCertificate> peer_certificate(SSL* ssl);

/// 128 bits from OpenSSL's generator. Throws std::runtime_error when it has none.
[[nodiscard]] RawId random_seed();

}  // namespace fallow::http

// A loopback HTTPS server with certificates made on the spot. It answers every request with 200 and the
// common name of the client's certificate.
#pragma once

#include <memory>
#include <string>

namespace fallow::sdk::testing {

/// A certificate authority.
class TestAuthority {
  public:
    TestAuthority();
    ~TestAuthority();
    TestAuthority(const TestAuthority&) = delete;
    TestAuthority& operator=(const TestAuthority&) = delete;

    [[nodiscard]] std::string certificate_pem() const;

    struct Issued {
        std::string certificate_pem;
        std::string key_pem;
    };
    /// `alternative_name` as in "IP:127.0.0.1"; empty for a client.
    [[nodiscard]] Issued issue(const std::string& common_name, const std::string& alternative_name) const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

class TlsServer {
  public:
    /// `version_max` is an OpenSSL protocol number, 0 for the newest. The authority's clients are asked for
    /// their certificates, and may have none.
    TlsServer(const TestAuthority& authority, const std::string& alternative_name, int version_max = 0);
    ~TlsServer();
    TlsServer(const TlsServer&) = delete;
    TlsServer& operator=(const TlsServer&) = delete;

    [[nodiscard]] int port() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::sdk::testing

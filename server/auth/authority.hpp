// The certificate authority of one installation. Clients and agents pin its certificate; it signs the
// server's TLS certificate (serverAuth) and short-lived agent certificates (clientAuth), so that neither
// can stand for the other. Files in its folder: ca.pem, server.pem (0644), ca.key, server.key (0600).
// Replicas share one ca.pem and ca.key, and know each other by certificates with a name that no agent gets.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::auth {

struct ServerCertificate {
    std::string chain_pem;  ///< the certificate, then the authority's
    std::string private_key_pem;
    Time not_after;
};

struct AgentCertificate {
    std::string chain_pem;
    std::string serial_hex;
    Time not_after;
};

inline constexpr Millis agent_certificate_life = hours(24);

/// The common name of a replica's client certificate. An agent's is always its host id, so none can have
/// it.
inline constexpr std::string_view replica_common_name = "fallowd replica";

class CertificateAuthority {
  public:
    /// Loads the authority, or makes one (EC P-256, ten years) in an empty folder, which is created (0700)
    /// if need be. A key without its certificate gets a new one, under which everything issued so far still
    /// verifies. Throws when the files cannot be used, do not belong together, or the authority has
    /// expired.
    [[nodiscard]] static CertificateAuthority open(const std::filesystem::path& folder, Time now);

    ~CertificateAuthority();
    CertificateAuthority(CertificateAuthority&&) noexcept;
    CertificateAuthority& operator=(CertificateAuthority&&) noexcept;

    /// What clients and agents pin.
    [[nodiscard]] const std::string& certificate_pem() const;

    /// The server's certificate for localhost, 127.0.0.1, ::1 and `names` (host names or addresses), good
    /// for a year. The one in the folder is kept while it is this authority's, covers exactly these names
    /// and has a third of its life left. Throws on a name that is neither a host name nor an address.
    /// `folder` is where it is kept, the authority's own unless given: replicas that share an authority
    /// have different names.
    [[nodiscard]] ServerCertificate server_certificate(const std::vector<std::string>& names, Time now,
                                                       const std::filesystem::path& folder = {}) const;

    /// What a server presents to another one that it forwards requests to: clientAuth, replica_common_name,
    /// good for a day. Made anew each time and kept nowhere.
    [[nodiscard]] ServerCertificate replica_certificate(Time now) const;

    /// Lower-case hex of the SHA-256 of the authority's public key: replicas must agree on it.
    [[nodiscard]] std::string key_sha256() const;

    /// Signs the public key of a PKCS #10 request. Of the request only the key is used: the common name is
    /// `host`, whatever its subject says. invalid_field at "/csr" when it is not a request, is not signed
    /// by its own key, or its key is not EC P-256, P-384 or Ed25519. May be called from any number of
    /// threads.
    [[nodiscard]] Result<AgentCertificate> issue_agent(std::string_view request_pem, HostId host, Time now,
                                                       Millis life = agent_certificate_life) const;

  private:
    struct Impl;
    explicit CertificateAuthority(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::auth

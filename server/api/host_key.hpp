// The server's word for a host's signing key, given at enrolment: what makes a receipt verifiable by
// someone who has pinned the server's key alone.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "auth/signing.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace fallow::api {

struct HostKeyCertificate {
    std::string statement;  ///< the exact bytes that are signed
    std::string signature;  ///< base64
};

/// "fallow-host-key-v1\nhost: …\nkey: …\nregistered_at: …\n"
[[nodiscard]] std::string host_key_statement(HostId host, const std::string& key,
                                             const std::string& registered_at);

/// What hosts.signing_key_certificate keeps: "<registered_at> <signature>".
[[nodiscard]] std::string certify_host_key(const auth::SigningKey& signer, HostId host,
                                           const std::string& key, Time registered_at);

/// The certificate as receipts show it, from what is kept.
[[nodiscard]] std::optional<HostKeyCertificate> host_key_certificate(HostId host, const std::string& key,
                                                                     std::string_view kept);

}  // namespace fallow::api

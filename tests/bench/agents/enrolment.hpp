// Enrols the swarm's hosts through the API, as their agents would: a seller's token each, a request for a
// certificate, the proof of its signing key.
#pragma once

#include <string>
#include <vector>

#include "bench/agents/link.hpp"

namespace fallow::bench {

struct EnrolledHost {
    std::string id;
    Owned<X509> certificate;  ///< of the server's authority
};

struct EnrolmentOptions {
    std::uint16_t port = 0;
    std::string ca_file;
    std::string seller_key;
    std::size_t hosts = 0;
    std::size_t listed = 0;  ///< so many of them report a card and list it
    unsigned threads = 4;
};

/// Throws std::runtime_error with the server's answer when it refuses. `key` is every host's TLS key.
[[nodiscard]] std::vector<EnrolledHost> enrol(const EnrolmentOptions& options, EVP_PKEY* key);

/// A new key on P-256.
[[nodiscard]] Owned<EVP_PKEY> make_tls_key();

}  // namespace fallow::bench

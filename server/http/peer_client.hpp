// One HTTPS connection to another server of this installation, used by one thread at a time: a request,
// then its whole reply. It speaks to our own server alone, so it understands what reply_writer.cpp writes
// and refuses the rest.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>

#include "http/message.hpp"

namespace fallow::http {

/// No reply came.
class PeerError : public std::runtime_error {
  public:
    PeerError(const std::string& what, bool may_have_acted)
        : std::runtime_error(what), may_have_acted_(may_have_acted) {}
    /// A part of the request had been sent: what became of it is not known.
    [[nodiscard]] bool may_have_acted() const { return may_have_acted_; }

  private:
    bool may_have_acted_;
};

struct PeerSettings {
    std::string address;  ///< "host:port" or "[address]:port"
    std::string ca_pem;   ///< which has to have signed the server's certificate, for serverAuth
    std::string certificate_chain_pem;
    std::string private_key_pem;
    std::int64_t now_seconds = 0;  ///< since 1970, to judge certificates by, from a clock that nobody sets
};

class PeerClient {
  public:
    /// Asked several times a second during anything that waits; false gives up.
    using GoOn = std::function<bool()>;

    /// Connects and shakes hands. Throws PeerError.
    PeerClient(const PeerSettings& settings, const GoOn& go_on);
    ~PeerClient();
    PeerClient(const PeerClient&) = delete;
    PeerClient& operator=(const PeerClient&) = delete;

    /// Whether the other side has kept the connection open since the last reply.
    [[nodiscard]] bool is_alive() const;
    /// Sends `request`, with its own headers less those of its connection, and reads the reply. Throws
    /// PeerError, after which the connection is of no use.
    [[nodiscard]] Reply exchange(const Request& request, const GoOn& go_on);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace fallow::http

// Auth: who asks, with what means, and what that allows. API keys and enrolment tokens as text, scopes,
// Ed25519 signatures, the certificate authority for the server and its agents, random bytes and hashes (all
// OpenSSL). Auth is not a user directory: which keys exist, to whom they belong and when they end is for
// accounts/ to know. It never sees a request (http/ does), and the decision whether an object is visible is
// the engine's.
#pragma once

#include <optional>
#include <variant>

#include "auth/scopes.hpp"
#include "base/ids.hpp"

namespace fallow::auth {

/// The authenticated party behind one request: an organization, through one of its API keys or one of its
/// hosts.
struct Actor {
    OrganizationId organization;
    ScopeSet scopes;  ///< empty for a host: what an agent may do is fixed by its routes
    std::variant<KeyId, HostId> means;

    [[nodiscard]] std::optional<KeyId> key() const {
        const auto* found = std::get_if<KeyId>(&means);
        return found != nullptr ? std::optional(*found) : std::nullopt;
    }
    [[nodiscard]] std::optional<HostId> host() const {
        const auto* found = std::get_if<HostId>(&means);
        return found != nullptr ? std::optional(*found) : std::nullopt;
    }
    friend bool operator==(const Actor&, const Actor&) = default;
};

}  // namespace fallow::auth

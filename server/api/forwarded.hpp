// How a request travels from one server to the leader: as it came, with headers that say what only the
// first server could see. They count on the connection of another server alone, which its certificate
// proves; from anybody else they are removed.
#pragma once

#include "http/message.hpp"

namespace fallow::api {

/// Whether the connection that brought a request is another server's.
[[nodiscard]] bool is_from_replica(const http::Request& request);

/// Adds what the leader cannot see: the request's id, the client's address and certificate.
void mark_forwarded(http::Request& request);

/// Makes a received request the one that the client sent. True when another server forwarded it; one that
/// does not say the client's address leaves it empty.
bool take_forwarded(http::Request& request);

}  // namespace fallow::api

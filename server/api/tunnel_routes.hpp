// The routes of tunnels, and tunnels for the server itself.
#pragma once

#include <vector>

#include "api/authenticator.hpp"
#include "api/route.hpp"

namespace fallow::api {

/// A tunnel into a running job of the identity's organization: a reply with status 101 and one end of it as
/// its stream. not_found, wrong_state, host_not_ready, rate_limited, frozen.
void open_tunnel_into(Services& services, const Identity& identity, JobId job, AsyncHandler::Done done);

void add_tunnel_routes(std::vector<Route>& routes);

}  // namespace fallow::api

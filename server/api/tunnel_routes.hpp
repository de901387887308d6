// The routes of tunnels.
#pragma once

#include <vector>

#include "api/route.hpp"

namespace fallow::api {

void add_tunnel_routes(std::vector<Route>& routes);

}  // namespace fallow::api

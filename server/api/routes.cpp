#include "api/routes.hpp"

#include "api/tunnel_routes.hpp"

namespace fallow::api {

std::vector<Route> make_routes() {
    std::vector<Route> routes;
    add_public_routes(routes);
    add_key_routes(routes);
    add_money_routes(routes);
    add_event_routes(routes);
    add_seller_routes(routes);
    add_search_routes(routes);
    add_catalog_routes(routes);
    add_query_routes(routes);
    add_saved_search_routes(routes);
    add_renter_routes(routes);
    add_spot_routes(routes);
    add_reservation_routes(routes);
    add_job_routes(routes);
    add_tunnel_routes(routes);
    add_artifact_routes(routes);
    add_agent_routes(routes);
    add_agent_file_routes(routes);
    add_admin_routes(routes);
    add_policy_routes(routes);
    add_price_routes(routes);
    add_checkpoint_routes(routes);
    add_telemetry_routes(routes);
    add_secret_routes(routes);
    add_saved_output_routes(routes);
    add_network_test_routes(routes);
    add_app_routes(routes);
    add_gang_routes(routes);
    add_progress_routes(routes);
    return routes;
}

}  // namespace fallow::api

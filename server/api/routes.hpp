// The one route table, assembled from the files by who calls.
#pragma once

#include <vector>

#include "api/route.hpp"

namespace fallow::api {

[[nodiscard]] std::vector<Route> make_routes();

void add_public_routes(std::vector<Route>& routes);
void add_key_routes(std::vector<Route>& routes);
void add_money_routes(std::vector<Route>& routes);
void add_event_routes(std::vector<Route>& routes);
void add_seller_routes(std::vector<Route>& routes);
void add_search_routes(std::vector<Route>& routes);
void add_catalog_routes(std::vector<Route>& routes);
void add_price_routes(std::vector<Route>& routes);
void add_policy_routes(std::vector<Route>& routes);
void add_query_routes(std::vector<Route>& routes);
void add_saved_search_routes(std::vector<Route>& routes);
void add_renter_routes(std::vector<Route>& routes);
void add_spot_routes(std::vector<Route>& routes);
void add_reservation_routes(std::vector<Route>& routes);
void add_job_routes(std::vector<Route>& routes);
void add_artifact_routes(std::vector<Route>& routes);
void add_agent_routes(std::vector<Route>& routes);
void add_agent_file_routes(std::vector<Route>& routes);
void add_admin_routes(std::vector<Route>& routes);
void add_checkpoint_routes(std::vector<Route>& routes);
void add_telemetry_routes(std::vector<Route>& routes);
void add_secret_routes(std::vector<Route>& routes);
void add_saved_output_routes(std::vector<Route>& routes);
void add_network_test_routes(std::vector<Route>& routes);
void add_app_routes(std::vector<Route>& routes);
void add_gang_routes(std::vector<Route>& routes);
void add_progress_routes(std::vector<Route>& routes);

// The accesses that most routes have.
[[nodiscard]] inline Access reads_as_seller() {
    return Access::key({auth::Scope::seller_read});
}
[[nodiscard]] inline Access writes_as_seller() {
    return Access::key({auth::Scope::seller_write});
}
[[nodiscard]] inline Access reads_as_renter() {
    return Access::key({auth::Scope::renter_read});
}
[[nodiscard]] inline Access writes_as_renter() {
    return Access::key({auth::Scope::renter_write});
}
[[nodiscard]] inline Access reads_as_either() {
    return Access::key({auth::Scope::seller_read, auth::Scope::renter_read});
}
[[nodiscard]] inline Access administers() {
    return Access::key({auth::Scope::admin});
}

}  // namespace fallow::api

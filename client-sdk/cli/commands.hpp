// One file per noun, one function each: it adds its commands to the command line.
#pragma once

namespace CLI {
class App;
}

namespace fallow::cli {

class Context;

void add_host_commands(CLI::App& app, Context& context);
void add_search_command(CLI::App& app, Context& context);
void add_saved_search_commands(CLI::App& app, Context& context);
void add_secret_commands(CLI::App& app, Context& context);
void add_listing_commands(CLI::App& app, Context& context);
void add_quote_commands(CLI::App& app, Context& context);
void add_reservation_commands(CLI::App& app, Context& context);
void add_order_commands(CLI::App& app, Context& context);
void add_spot_commands(CLI::App& app, Context& context);
void add_lease_commands(CLI::App& app, Context& context);
void add_job_commands(CLI::App& app, Context& context);
void add_account_commands(CLI::App& app, Context& context);
void add_receipt_commands(CLI::App& app, Context& context);
void add_key_commands(CLI::App& app, Context& context);
void add_events_command(CLI::App& app, Context& context);
void add_market_commands(CLI::App& app, Context& context);
void add_policy_commands(CLI::App& app, Context& context);
/// Below `admin`.
void add_admin_policy_commands(CLI::App& admin, Context& context);
void add_catalog_commands(CLI::App& app, Context& context);
void add_server_commands(CLI::App& app, Context& context);
void add_admin_commands(CLI::App& app, Context& context);

}  // namespace fallow::cli

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "commands.hpp"
#include "context.hpp"
#include "explanation.hpp"
#include "tunnel.hpp"

namespace {

using namespace fallow::cli;

constexpr const char* footer = R"(Settings
  A flag wins over its variable. The key is never an argument: others see those.
  FALLOW_URL        the server, https://host:port
  FALLOW_CA         the server's ca.pem; without it the system's authorities are trusted
  FALLOW_KEY_FILE   a file with the API key, or
  FALLOW_API_KEY    the key itself

Units
  money     2.50, $0.000125      USD, six decimals at most; prices are per card and hour
  duration  90s, 2h, 1h30m, 7d
  size      512MiB, 80GiB, 2GB

Output
  -o table is for people; -o json prints one document for an object and an array for a list.
  Data go to stdout, messages to stderr.

Exit codes
  0  done
  1  the operation failed or the server refused it (for job run: the job failed)
     job exec and job attach end with the exit code of the process
  2  the command line or a setting is wrong
  4  the server cannot be reached)";

void add_settings(CLI::App& app, Settings& settings) {
    app.add_option("--url", settings.url, "The server, https://host:port")->envname("FALLOW_URL");
    app.add_option("--ca", settings.ca_file, "The certificate authority to trust, and no other (PEM)")
        ->envname("FALLOW_CA")
        ->type_name("FILE");
    app.add_option("--key-file", settings.key_file, "The file with the API key")
        ->envname("FALLOW_KEY_FILE")
        ->type_name("FILE");
    app.add_option("-o,--format", settings.format, "table or json")
        ->check(CLI::IsMember({"table", "json"}))
        ->capture_default_str();
    app.add_option(
        "--idempotency-key", settings.idempotency_key,
        "Makes a command that creates something safe to repeat, in another process too: the same key "
        "acts once. Without it every command has a random one");
}

void add_commands(CLI::App& app, Context& context) {
    add_host_commands(app, context);
    add_search_command(app, context);
    add_saved_search_commands(app, context);
    add_listing_commands(app, context);
    add_quote_commands(app, context);
    add_reservation_commands(app, context);
    add_order_commands(app, context);
    add_spot_commands(app, context);
    add_lease_commands(app, context);
    add_job_commands(app, context);
    add_secret_commands(app, context);
    add_account_commands(app, context);
    add_receipt_commands(app, context);
    add_key_commands(app, context);
    add_events_command(app, context);
    add_catalog_commands(app, context);
    add_market_commands(app, context);
    add_policy_commands(app, context);
    add_server_commands(app, context);
    add_admin_commands(app, context);
}

int refused(const fallow::sdk::ApiError& error) {
    Context::message(std::string("fallow: ") + error.what());
    if (!error.problem().explanation.empty())
        Context::message(
            text_of(fallow::sdk::from_json<fallow::sdk::Explanation>(error.problem().explanation)));
    if (!error.request_id().empty()) Context::message("request " + error.request_id());
    return exit_code::failed;
}

int unreachable(const fallow::sdk::TransportError& error) {
    Context::message(std::string("fallow: the server cannot be reached: ") + error.what());
    if (error.kind() == fallow::sdk::TransportErrorKind::tls)
        Context::message("Pin the server's ca.pem with --ca or FALLOW_CA.");
    return exit_code::unreachable;
}

int run(const Context& context) {
    try {
        if (context.action) context.action();
        return exit_code::done;
    } catch (const ExitStatus& status) {
        return status.code();
    } catch (const UsageError& error) {
        Context::message(std::string("fallow: ") + error.what());
        return exit_code::usage;
    } catch (const std::invalid_argument& error) {
        Context::message(std::string("fallow: ") + error.what());
        return exit_code::usage;
    } catch (const fallow::sdk::ApiError& error) {
        return refused(error);
    } catch (const fallow::sdk::TransportError& error) {
        return unreachable(error);
    } catch (const std::exception& error) {
        Context::message(std::string("fallow: ") + error.what());
        return exit_code::failed;
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);  // a closed pipe is an error of the write, and a clean exit
    CLI::App app("fallow: rent and let GPU capacity that lies idle", "fallow");
    Context context;
    app.set_version_flag("--version", "fallow 0.1.0");
    app.require_subcommand(1);
    app.fallthrough();  // the settings may stand after the command, too
    add_settings(app, context.settings);
    add_commands(app, context);
    app.footer(footer);  // last, or every command below would inherit it
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_code::done : exit_code::usage;
    }
    return run(context);
}

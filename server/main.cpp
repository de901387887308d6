// fallowd: reads the command line, makes the configuration and the server, and waits for a signal.
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>
#include <CLI/CLI.hpp>
#ifdef FALLOW_HAS_MIMALLOC
#include <mimalloc.h>
#endif

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include "api/server_app.hpp"
#include "api/version.hpp"
#include "auth/vault.hpp"

namespace {

using namespace fallow;

struct ServeOptions {
    std::string config_file;
    std::string data_folder;
    std::string listen;
    std::string database_url;
    std::vector<std::string> settings;
};

/// The one thing a signal handler can safely touch.
int stop_pipe[2] = {-1, -1};

void wake_main() {
    const char byte = 1;
    // A full pipe has woken main already.
    [[maybe_unused]] const auto written = write(stop_pipe[1], &byte, 1);
}

void on_signal(int) {
    const int kept = errno;
    wake_main();
    errno = kept;
}

/// What a batch has used is used again by the next one. Given back to the system between two of them, as it
/// is by default after 25 ms, it would be cleared and mapped anew for each.
void keep_freed_memory() {
#ifdef FALLOW_HAS_MIMALLOC
    constexpr long kept_ms = 2000;
    mi_option_set(mi_option_decommit_delay, kept_ms);
    mi_option_set(mi_option_segment_decommit_delay, kept_ms);
#endif
}

void watch_signals() {
    if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
        throw std::system_error(errno, std::generic_category(), "pipe2");
    struct sigaction stop {};
    stop.sa_handler = on_signal;
    sigaction(SIGTERM, &stop, nullptr);
    sigaction(SIGINT, &stop, nullptr);
    struct sigaction ignore {};
    ignore.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &ignore, nullptr);
}

void wait_for_stop() {
    pollfd waited{stop_pipe[0], POLLIN, 0};
    while (poll(&waited, 1, -1) < 0 && errno == EINTR) {
    }
}

/// Throws with the refusal's sentence, for the operator to read.
void require(const Status& status) {
    if (!status) throw std::runtime_error(status.error().detail);
}

void apply_listen(ops::Config& config, const std::string& listen) {
    const std::size_t colon = listen.rfind(':');
    if (colon == std::string::npos)
        throw std::runtime_error("--listen needs ADDRESS:PORT, like 127.0.0.1:8443");
    std::string address = listen.substr(0, colon);
    if (address.size() > 2 && address.front() == '[' && address.back() == ']')
        address = address.substr(1, address.size() - 2);
    require(ops::apply(config, "listen_address", address));
    require(ops::apply(config, "listen_port", listen.substr(colon + 1)));
}

/// Later ones win: defaults, file, environment, flags.
ops::Config make_config(const ServeOptions& options) {
    ops::Config config;
    const char* named = std::getenv("FALLOW_CONFIG");
    const std::string file = !options.config_file.empty() ? options.config_file
                             : named != nullptr           ? named
                                                          : "";
    if (!file.empty()) require(ops::apply_toml_file(config, file));
    require(ops::apply_environment(config, ops::process_environment()));
    if (!options.data_folder.empty()) require(ops::apply(config, "data_folder", options.data_folder));
    if (!options.listen.empty()) apply_listen(config, options.listen);
    if (!options.database_url.empty()) require(ops::apply(config, "database_url", options.database_url));
    for (const std::string& setting : options.settings) {
        const std::size_t equals = setting.find('=');
        if (equals == std::string::npos) throw std::runtime_error("--set needs NAME=VALUE, not " + setting);
        require(ops::apply(config, setting.substr(0, equals), setting.substr(equals + 1)));
    }
    require(ops::check(config));
    return config;
}

int serve(const ServeOptions& options) {
    const ops::Config config = make_config(options);
    ops::Log log(ops::parse_level(config.log_level).value_or(ops::Level::info));
    std::atomic<bool> has_failed = false;
    try {
        api::ServerApp app(config, log);
        app.start([&] {
            has_failed = true;
            wake_main();
        });
        log.info("listening", {{"url", std::string_view(app.url())}});
        wait_for_stop();
        log.info("stopping");
        app.stop();
    } catch (const std::exception& error) {
        log.error("the server cannot go on", {{"error", error.what()}});
        return EXIT_FAILURE;
    }
    return has_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) try {
    keep_freed_memory();
    CLI::App app("Fallow's server.", "fallowd");
    app.require_subcommand(1);

    ServeOptions options;
    CLI::App* serving = app.add_subcommand("serve", "Run the server until SIGTERM or SIGINT.");
    serving->add_option("--config", options.config_file, "TOML file of settings; also FALLOW_CONFIG");
    serving->add_option("--data", options.data_folder,
                        "Folder of keys, certificates and the managed database");
    serving->add_option("--listen", options.listen, "ADDRESS:PORT; port 0 lets the system choose");
    serving->add_option("--database-url", options.database_url,
                        "PostgreSQL to use; none manages one in the data folder");
    serving->add_option("--set", options.settings, "NAME=VALUE of any setting: see config-help");

    std::string migrated_url;
    CLI::App* migrating = app.add_subcommand("migrate", "Bring a database's schema up to date.");
    migrating->add_option("--database-url", migrated_url, "A superuser's, or the owner's")->required();

    std::string secrets_key_file;
    CLI::App* rotating = app.add_subcommand(
        "add-secrets-key",
        "Put a new key before those that seal secrets; servers use it from their next start.");
    rotating->add_option("file", secrets_key_file, "secrets.key of the keys' folder, or secrets_key_file")
        ->required();

    CLI::App* version = app.add_subcommand("version", "Print the version.");
    CLI::App* help = app.add_subcommand("config-help", "Print every setting with its default.");
    CLI11_PARSE(app, argc, argv);

    watch_signals();
    if (*rotating) auth::Vault::add_key(secrets_key_file);
    if (*version) fmt::print("fallowd {}\n", api::program_version);
    if (*help) fmt::print("{}", ops::config_help());
    if (*migrating) {
        ops::Log log(ops::Level::info);
        api::migrate_database(migrated_url, log);
    }
    return *serving ? serve(options) : EXIT_SUCCESS;
} catch (const std::exception& error) {
    fmt::print(stderr, "fallowd: {}\n", error.what());
    return EXIT_FAILURE;
}

#include "api/server_app.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <optional>
#include <stdexcept>
#include <thread>

#include "api/bootstrap.hpp"
#include "api/data_folder.hpp"
#include "api/gateway.hpp"
#include "api/host_count.hpp"
#include "api/housekeeping.hpp"
#include "api/identity_watch.hpp"
#include "api/json_writer.hpp"
#include "api/network_tests.hpp"
#include "api/openapi_document.hpp"
#include "api/services.hpp"
#include "api/shared_keys.hpp"
#include "api/tunnels.hpp"
#include "api/version.hpp"
#include "auth/base64.hpp"
#include "auth/derived_secret.hpp"
#include "auth/files.hpp"
#include "auth/random.hpp"
#include "engine/follower_thread.hpp"
#include "http/server.hpp"
#include "store/journal_source.hpp"
#include "store/maintenance.hpp"
#include "store/managed_postgres.hpp"
#include "store/market_store.hpp"
#include "store/migrate.hpp"
#include "store/tunnel_watch.hpp"

namespace fallow::api {
namespace {

/// The wall clock at the process's start plus steady time since: a clock that is set moves no deadline.
Time system_now() {
    using std::chrono::duration_cast, std::chrono::milliseconds, std::chrono::steady_clock;
    static const auto begun = steady_clock::now();
    static const auto wall =
        duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch());
    return Time((wall + duration_cast<milliseconds>(steady_clock::now() - begun)).count());
}

/// Names this process in the leader row, and no other one: host, process id, and a number for when those
/// come back.
std::string holder_name() {
    std::array<char, 256> host{};
    if (gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    return fmt::format("{}:{}:{:08x}", host.data(), getpid(), auth::random_id().low & 0xffffffff);
}

engine::EngineConfig engine_config(const ops::Config& config) {
    engine::EngineConfig engine;
    engine.market = config.market;
    engine.holder = holder_name();
    engine.rules.market = config.market;
    engine.rules.accept_deadline = Millis(config.accept_ms);
    engine.rules.attach_deadline = Millis(config.attach_ms);
    engine.rules.pull_deadline = Millis(config.pull_ms);
    engine.rules.start_deadline = Millis(config.start_ms);
    engine.rules.reclaim_deadline = Millis(config.reclaim_ms);
    engine.rules.hold_window = Millis(config.hold_ms);
    engine.rules.disconnect_window = Millis(config.disconnect_window_ms);
    engine.rules.heartbeat = Millis(config.heartbeat_interval_ms);
    engine.rules.cancel_free = Millis(config.reservation_free_ms);
    engine.rules.cancel_kept_ppm = static_cast<std::int32_t>(config.reservation_kept_ppm);
    engine.rules.penalty_ppm = static_cast<std::int32_t>(config.reservation_penalty_ppm);
    engine.rules.quote_validity = Millis(config.quote_ms);
    engine.rules.pinned_lost = Millis(config.pinned_lost_ms);
    engine.rules.spot_reprice = Millis(config.spot_reprice_ms);
    engine.rules.bid_lower_cooldown = Millis(config.bid_lower_ms);
    engine.beat = Millis(config.leader_beat_ms);
    engine.stale_after = Millis(config.leader_takeover_ms);
    engine.confirmed_within = Millis(config.confirm_ms);
    engine.host_lost = Millis(config.host_lost_ms);
    engine.queue_max = static_cast<std::size_t>(config.engine_queue_max);
    engine.batch_max = static_cast<std::size_t>(config.engine_batch_max);
    return engine;
}

/// The names of the server's certificate: those that are configured, and the address unless it is every
/// address.
std::vector<std::string> certificate_names(const ops::Config& config) {
    std::vector<std::string> names = config.tls_names;
    if (config.listen_address != "0.0.0.0" && config.listen_address != "::")
        names.push_back(config.listen_address);
    if (!config.apps_domain.empty() && config.apps_certificate_file.empty())
        names.push_back("*." + config.apps_domain);
    return names;
}

http::SubdomainCertificate apps_certificate(const ops::Config& config) {
    if (config.apps_certificate_file.empty()) return {};
    const auto chain = auth::read_file(config.apps_certificate_file);
    const auto key = auth::read_private_file(config.apps_key_file);
    if (!chain || !key)
        throw std::runtime_error((chain ? config.apps_key_file : config.apps_certificate_file) +
                                 " is missing; see apps_certificate_file and apps_key_file");
    return {config.apps_domain, *chain, *key};
}

/// The other half of the cores is for the engine's threads and PostgreSQL, when that runs here.
unsigned http_threads(const ops::Config& config) {
    if (config.http_threads > 0) return static_cast<unsigned>(config.http_threads);
    return std::max(1U, std::thread::hardware_concurrency() / 2);
}

std::string listen_url(const ops::Config& config, std::uint16_t port) {
    if (config.listen_address == "0.0.0.0" || config.listen_address == "::")
        return fmt::format("https://127.0.0.1:{}", port);
    const bool is_v6 = config.listen_address.find(':') != std::string::npos;
    return is_v6 ? fmt::format("https://[{}]:{}", config.listen_address, port)
                 : fmt::format("https://{}:{}", config.listen_address, port);
}

/// Where other servers reach this one. A listener on every address is reached by the machine's name.
std::string advertised_address(const ops::Config& config, std::uint16_t port) {
    if (!config.advertise_address.empty()) return config.advertise_address;
    std::string host = config.listen_address;
    if (host == "0.0.0.0" || host == "::") {
        std::array<char, 256> name{};
        if (gethostname(name.data(), name.size() - 1) == 0) host = name.data();
    }
    if (host.find(':') != std::string::npos) host = '[' + host + ']';
    return fmt::format("{}:{}", host, port);
}

engine::FollowerConfig follower_config(const engine::EngineConfig& engine) {
    engine::FollowerConfig follower;
    follower.market = engine.market;
    follower.holder = engine.holder;
    follower.rules = engine.rules;
    follower.stale_after = engine.stale_after;
    follower.fresh_within = engine.confirmed_within;
    return follower;
}

ForwarderSettings forwarder_settings(const ops::Config& config) {
    return {config.forward_connections, config.forward_wait_ms, 30'000,
            static_cast<std::size_t>(config.engine_queue_max)};
}

/// How long a server that stops waits for another one to take the leader row: some looks at it, and the
/// transaction that takes it.
constexpr std::chrono::milliseconds successor_wait{500};

}  // namespace

struct ServerApp::Impl {
    Impl(ops::Config given, ops::Log& given_log)
        : config(std::move(given)), log(given_log), folder(config.data_folder) {}

    void open_database();
    void open_keys();
    void open_engine();
    void open_http();
    void lead(const std::function<void()>& on_failure);
    void on_look(const engine::Looked& looked);
    void announce();
    void hand_over();
    std::function<void(const std::string&, const std::string&)> engine_log();
    store::ConnectionSettings connection_settings(const std::string& name) const;
    engine::EngineDeps engine_deps();
    http::ServerConfig http_config();

    // Made from the top down and destroyed from the bottom up.
    const ops::Config config;
    ops::Log& log;
    DataFolder folder;
    std::optional<store::ManagedPostgres> postgres;
    std::string database_url;
    ops::Metrics metrics{program_version};
    std::optional<SharedKeys> keys;
    std::atomic<bool> stopping = false;  ///< told by /readyz from the first moment
    std::atomic<bool> draining = false;  ///< and the leadership is handed over
    engine::Hub hub;
    std::optional<engine::SearchIndex> search;
    std::optional<HostCount> host_count;
    std::optional<IdentityWatch> identity_watch;
    KeyFilter key_filter;
    StreamLimits stream_limits;
    NetworkTests network_tests{config.network_tests_max, config.network_test_bytes_per_s, system_now};
    TunnelDesk tunnels{[this] { return advertised_address(config, server->port()); }};
    std::optional<store::TunnelWatch> tunnel_watch;
    std::optional<store::WorkerPool> workers;
    std::unique_ptr<engine::MarketStore> market_store;
    std::unique_ptr<engine::MarketStore> beat_store;
    std::unique_ptr<engine::JournalSource> journal_source;
    std::optional<engine::Follower> follower;
    std::optional<engine::Engine> engine;
    std::optional<engine::FollowerThread> follower_thread;
    std::optional<Forwarder> forwarder;
    std::optional<Housekeeping> housekeeping;
    std::optional<Services> services;
    std::optional<Gateway> gateway;
    std::optional<http::Server> server;
    std::thread leader;
    std::atomic<bool> is_announced = false;
    bool is_stopped = false;
};

store::ConnectionSettings ServerApp::Impl::connection_settings(const std::string& name) const {
    store::ConnectionSettings settings;
    settings.url = database_url;
    settings.application_name = "fallowd " + name;
    return settings;
}

void ServerApp::Impl::open_database() {
    database_url = config.database_url;
    if (database_url.empty()) {
        store::ManagedPostgresSettings settings;
        settings.directory = folder.file("postgres");
        postgres.emplace(std::move(settings));
        database_url = postgres->url();
        // A database of its own is migrated without asking; one that others may share is not.
        migrate_database(postgres->superuser_url(), log);
        folder.write_private("database.url", database_url + "\n");
    }
    store::Connection connection(connection_settings("start"));
    require_schema(connection);
    store::maintain(connection);
    if (create_first_admin_key(connection, folder, system_now(), KeyId(auth::random_id())))
        log.info("first admin key written",
                 {{"file", std::string_view(folder.file("admin.key").native())}});
    workers.emplace(connection_settings("worker"), static_cast<std::size_t>(config.workers),
                    [this](const std::string& message) {
                        log.error("a worker's job failed", {{"error", message}});
                    });
}

void ServerApp::Impl::open_keys() {
    const bool are_own = config.keys_folder.empty();
    keys.emplace(open_shared_keys(are_own ? folder.file("") : std::filesystem::path(config.keys_folder),
                                  config.secrets_key_file, system_now()));
    store::Connection connection(connection_settings("start"));
    require_same_keys(connection, *keys);
    require_secrets_keys(connection, *keys->vault);
    if (!are_own) folder.write_public("ca.pem", keys->authority.certificate_pem());
    folder.write_public("server_signing.pub", auth::base64_encode(keys->signing_key.public_key()) + "\n");
}

std::function<void(const std::string&, const std::string&)> ServerApp::Impl::engine_log() {
    return [this](const std::string& level, const std::string& message) {
        switch (ops::parse_level(level).value_or(ops::Level::error)) {
            case ops::Level::debug:
                return log.debug(message);
            case ops::Level::info:
                return log.info(message);
            case ops::Level::warn:
                return log.warn(message);
            case ops::Level::error:
                return log.error(message);
        }
    };
}

engine::EngineDeps ServerApp::Impl::engine_deps() {
    return {
        *market_store, *beat_store, [this](const std::string& topic) { hub.publish(topic); }, system_now,
        auth::random_id,
        [this](const std::string& bytes) { return auth::base64_encode(keys->signing_key.sign(bytes)); },
        auth::base64_encode(keys->signing_key.public_key()), engine_log(),
        [this](std::size_t commands, std::int64_t commit_us) { metrics.engine_batch(commands, commit_us); },
        // Keyed commands are looked up in the database until its keys are known here, so none is brought.
        [this](const engine::Leadership& leadership) -> std::optional<engine::WarmMarket> {
            auto state = follower->take(leadership);
            log.info("the market is led by this server",
                     {{"epoch", leadership.epoch}, {"warm", state.has_value()}});
            if (!state) return std::nullopt;
            return engine::WarmMarket{std::move(*state), {}};
        },
        [this] { return advertised_address(config, server->port()); }, [this] { metrics.quarantined(); },
        &*identity_watch};
}

void ServerApp::Impl::open_engine() {
    store::ConnectionSettings engine_settings = connection_settings("engine");
    // A leader that hangs within a batch holds the leader row's lock, which a successor waits for.
    engine_settings.idle_in_transaction_timeout = Millis(config.leader_takeover_ms);
    market_store = store::make_market_store(engine_settings);
    beat_store = store::make_market_store(connection_settings("beat"));
    const engine::EngineConfig settings = engine_config(config);
    search.emplace(settings.rules);
    host_count.emplace(*search);
    identity_watch.emplace(*host_count);
    journal_source = store::make_journal_source(connection_settings("follower"));
    follower.emplace(
        follower_config(settings),
        engine::FollowerDeps{*journal_source,
                             [this](const std::string& topic) {
                                 if (topic == "journal")
                                     identity_watch->read_accounts(*journal_source, config.market);
                                 hub.publish(topic);
                             },
                             [this] { hub.publish_all(); }, system_now, engine_log(), &*identity_watch});
    engine.emplace(settings, engine_deps());
    forwarder.emplace(forwarder_settings(config), *engine, *follower, keys->authority, log, system_now);
    housekeeping.emplace(connection_settings("housekeeping"), config.market, key_filter, *engine,
                         *keys->vault, log, system_now);
}

http::ServerConfig ServerApp::Impl::http_config() {
    const auth::ServerCertificate certificate =
        keys->authority.server_certificate(certificate_names(config), system_now(), folder.file(""));
    http::ServerConfig http;
    http.address = config.listen_address;
    http.port = static_cast<std::uint16_t>(config.listen_port);
    http.threads = http_threads(config);
    http.tls = {certificate.chain_pem, certificate.private_key_pem, keys->authority.certificate_pem(),
                [] { return system_now().ms / 1000; },
                auth::derived_secret(keys->signing_key, "fallow tls session tickets")};
    http.subdomains = apps_certificate(config);
    http.limits.connections_max = static_cast<std::size_t>(config.connections_max);
    http.limits.stream_heartbeat_ms = config.stream_heartbeat_ms;
    http.on_access = [this](const http::AccessRecord& record) {
        if (record.is_relayed)
            metrics.app_request(record.status);
        else
            metrics.request(record.method, record.status, record.duration_us);
        log.access({record.request_id, record.method, record.path, record.remote_address, record.user_agent,
                    record.traceparent, record.status, static_cast<std::int64_t>(record.bytes_in),
                    static_cast<std::int64_t>(record.bytes_out), record.duration_us});
    };
    http.on_internal_error = [this](std::string_view message) {
        log.error("the HTTP layer caught an exception", {{"error", message}});
    };
    return http;
}

void ServerApp::Impl::open_http() {
    services.emplace(Services{*engine,
                              *follower,
                              *forwarder,
                              hub,
                              *search,
                              *workers,
                              key_filter,
                              stream_limits,
                              keys->authority,
                              keys->signing_key,
                              metrics,
                              log,
                              config,
                              stopping,
                              draining,
                              std::string(program_version),
                              fmt::format("{:08x}", auth::random_id().low & 0xffffffff),
                              openapi_document(),
                              system_now,
                              auth::random_id,
                              tunnels,
                              *keys->vault,
                              network_tests,
                              *host_count});
    gateway.emplace(*services, &*identity_watch);
    server.emplace(http_config(), *gateway);
    server->start();
    tunnel_watch.emplace(connection_settings("tunnels"));
    follower_thread.emplace(
        *follower, std::chrono::milliseconds(config.follow_ms),
        [this](const engine::Looked& looked) { on_look(looked); }, engine_log());
}

void ServerApp::Impl::on_look(const engine::Looked& looked) {
    identity_watch->looked();
    if (looked.is_free) engine->on_row_free();
    // Renters ask at any server, and each agent listens to one.
    for (const HostId host : tunnel_watch->look())
        hub.publish("host/" + host.text());
    if (services->is_ready()) announce();
}

/// Once: a server that lost its leader for a moment is still to be found at the same address.
void ServerApp::Impl::announce() {
    if (is_announced.exchange(true)) return;
    JsonWriter json;
    json.begin_object().field("url", listen_url(config, server->port())).end_object();
    folder.write_public("listen.json", json.take() + "\n");
    log.info("ready", {{"url", std::string_view(listen_url(config, server->port()))}});
}

/// On a thread of its own: another server may lead the market for as long as it likes, and this one serves
/// reads and forwards commands. It is ready when the market is led, wherever.
void ServerApp::Impl::lead(const std::function<void()>& on_failure) {
    try {
        engine->start();
        announce();
    } catch (const std::exception& error) {
        if (stopping.load()) return;
        log.error("the market could not be started", {{"error", error.what()}});
        on_failure();
    }
}

/// Commands that are queued are carried out, and another server may lead at once. It is waited for, because
/// until it leads this server could not tell whether it should go on answering.
void ServerApp::Impl::hand_over() {
    if (!engine) return;
    engine->stop();
    const auto give_up_at = std::chrono::steady_clock::now() + successor_wait;
    while (std::chrono::steady_clock::now() < give_up_at) {
        const auto successor = follower->leader();
        if (successor && !successor->is_self) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
}

ServerApp::ServerApp(ops::Config config, ops::Log& log)
    : impl_(std::make_unique<Impl>(std::move(config), log)) {}

ServerApp::~ServerApp() {
    stop();
}

void ServerApp::start(std::function<void()> on_failure) {
    impl_->folder.remove("listen.json");
    impl_->open_database();
    impl_->open_keys();
    impl_->open_engine();
    impl_->open_http();
    impl_->leader =
        std::thread([impl = impl_.get(), on_failure = std::move(on_failure)] { impl->lead(on_failure); });
}

void ServerApp::stop() {
    if (impl_->is_stopped) return;
    impl_->is_stopped = true;
    impl_->stopping = true;
    impl_->folder.remove("listen.json");
    impl_->hand_over();
    impl_->draining = true;
    impl_->hub.stop();  // long-polls and streams end now
    impl_->tunnels.stop();
    if (impl_->server) impl_->server->drain(impl_->config.drain_timeout_ms);
    if (impl_->leader.joinable()) impl_->leader.join();
    impl_->follower_thread.reset();
    impl_->tunnel_watch.reset();
    if (impl_->forwarder) impl_->forwarder->stop();
    impl_->housekeeping.reset();
    if (impl_->workers) impl_->workers->stop();
    impl_->server.reset();
    impl_->gateway.reset();
    impl_->forwarder.reset();
    impl_->engine.reset();
    impl_->follower.reset();
    impl_->journal_source.reset();
    impl_->market_store.reset();
    impl_->beat_store.reset();
    impl_->workers.reset();
    if (impl_->postgres) impl_->postgres->stop();
    impl_->log.info("stopped");
}

std::string ServerApp::url() const {
    return listen_url(impl_->config, impl_->server->port());
}

void migrate_database(const std::string& url, ops::Log& log) {
    const int applied = store::migrate(url, [&](const store::Migration& migration) {
        log.info("migration applied",
                 {{"version", static_cast<std::int64_t>(migration.version)}, {"name", migration.name}});
    });
    log.info("schema is up to date", {{"applied", static_cast<std::int64_t>(applied)}});
}

}  // namespace fallow::api

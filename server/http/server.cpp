#include "http/server.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/assert.hpp"
#include "base/limits.hpp"
#include "http/handshake_gate.hpp"
#include "http/listener.hpp"
#include "http/session.hpp"
#include "http/tls.hpp"

namespace fallow::http {

namespace asio = boost::asio;

/// Enough to keep the processors at work while far peers answer, and few enough that the last one of them
/// is served within the patience of an agent (heartbeat_timeout_ms).
constexpr std::size_t handshakes_under_way_max = 512;

ServerLimits::ServerLimits()
    : header_bytes_max(limits::request_header_bytes_max),
      header_count_max(limits::request_header_count_max),
      target_bytes_max(limits::request_target_bytes_max),
      handshake_timeout_ms(limits::tls_handshake_timeout_ms),
      header_timeout_ms(limits::request_header_timeout_ms),
      body_bytes_per_s_min(limits::request_body_bytes_per_s_min),
      idle_timeout_ms(limits::connection_idle_timeout_ms),
      drain_grace_ms(limits::connection_drain_grace_ms),
      write_timeout_ms(limits::reply_write_timeout_ms),
      stream_heartbeat_ms(limits::stream_heartbeat_ms),
      linger_timeout_ms(limits::linger_timeout_ms),
      linger_bytes_max(limits::linger_bytes_max),
      connections_max(limits::connections_max),
      connections_refused_max(limits::connections_refused_max) {}

namespace {

std::unique_ptr<SubdomainTls> make_subdomain_tls(const SubdomainCertificate& certificate,
                                                 asio::ssl::context& context) {
    if (certificate.domain.empty()) return nullptr;
    return std::make_unique<SubdomainTls>(certificate, context);
}

}  // namespace

struct Server::Impl {
    Impl(ServerConfig given, Service& given_service)
        : config(std::move(given)),
          service(given_service),
          io(static_cast<int>(thread_count())),
          tls(make_tls_context(config.tls)),
          subdomains(make_subdomain_tls(config.subdomains, tls)),
          listener(std::make_shared<Listener>(io, config.address, config.port, thread_count() > 1)),
          work(io.get_executor()) {}

    [[nodiscard]] unsigned thread_count() const { return std::max(1U, config.threads); }

    void start();
    void run();
    void accept(asio::ip::tcp::socket socket);
    void forget(const Session* session);
    void drain(std::int64_t timeout_ms);
    void wait_for_sessions(std::int64_t timeout_ms);

    const ServerConfig config;
    Service& service;
    HandshakeGate handshakes{handshakes_under_way_max};
    asio::io_context io;
    asio::ssl::context tls;
    const std::unique_ptr<SubdomainTls> subdomains;  ///< perhaps none
    std::shared_ptr<Listener> listener;
    asio::executor_work_guard<asio::io_context::executor_type> work;
    std::vector<std::thread> threads;
    std::atomic<bool> is_draining = false;

    std::mutex drain_mutex;  // one drain at a time
    std::mutex mutex;        // guards what follows
    std::condition_variable is_empty;
    std::unordered_map<const Session*, std::shared_ptr<Session>> sessions;
};

void Server::Impl::start() {
    FALLOW_ASSERT(threads.empty());
    Listener::Callbacks callbacks;
    const auto report = [this](std::string_view message) {
        if (config.on_internal_error) config.on_internal_error(message);
    };
    callbacks.on_error = report;
    callbacks.on_connection = [this, report](asio::ip::tcp::socket socket) {
        try {
            accept(std::move(socket));
        } catch (const std::exception& escaped) {  // one connection is lost, not the listener
            report(escaped.what());
        }
    };
    listener->start(std::move(callbacks));
    for (unsigned i = 0; i < thread_count(); ++i)
        threads.emplace_back([this] { run(); });
}

/// Handlers catch what the service throws; what gets here is a defect of this folder or a lack of memory,
/// and the other connections go on.
void Server::Impl::run() {
    while (true) {
        try {
            io.run();
            return;
        } catch (const std::exception& escaped) {
            if (config.on_internal_error) config.on_internal_error(escaped.what());
        }
    }
}

void Server::Impl::accept(asio::ip::tcp::socket socket) {
    std::shared_ptr<Connection> connection;
    std::shared_ptr<Session> session;
    {
        const std::lock_guard lock(mutex);
        const std::size_t count = sessions.size();
        const ServerLimits& bounds = config.limits;
        if (count >= bounds.connections_max + bounds.connections_refused_max) return;
        const SessionContext context{config, service, is_draining};
        connection = std::make_shared<Connection>(std::move(socket), tls, bounds);
        session = std::make_shared<Session>(connection, context, count >= bounds.connections_max);
        sessions.emplace(session.get(), session);
    }
    handshakes.enter([this, connection, session](HandshakeGate::Place place) {
        if (connection->has_hung_up()) return forget(session.get());
        session->start(std::move(place), [this, key = session.get()] { forget(key); });
    });
}

void Server::Impl::forget(const Session* session) {
    const std::lock_guard lock(mutex);
    sessions.erase(session);
    if (sessions.empty()) is_empty.notify_all();
}

void Server::Impl::wait_for_sessions(std::int64_t timeout_ms) {
    std::unique_lock lock(mutex);
    is_empty.wait_for(lock, std::chrono::milliseconds(timeout_ms), [this] { return sessions.empty(); });
}

void Server::Impl::drain(std::int64_t timeout_ms) {
    const std::lock_guard one_drain(drain_mutex);
    if (threads.empty()) return;
    is_draining = true;
    listener->close();
    {
        const std::lock_guard lock(mutex);
        for (const auto& [key, session] : sessions)
            session->drain();
    }
    handshakes.open();
    wait_for_sessions(timeout_ms);
    {
        const std::lock_guard lock(mutex);
        for (const auto& [key, session] : sessions)
            session->cut();
    }
    work.reset();  // the threads end with the last session
    for (std::thread& thread : threads)
        thread.join();
    threads.clear();
}

Server::Server(ServerConfig config, Service& service)
    : impl_(std::make_unique<Impl>(std::move(config), service)) {}

Server::~Server() {
    impl_->drain(0);
}

void Server::start() {
    impl_->start();
}

std::uint16_t Server::port() const {
    return impl_->listener->port();
}

void Server::drain(std::int64_t timeout_ms) {
    impl_->drain(timeout_ms);
}

std::size_t Server::connections() const {
    const std::lock_guard lock(impl_->mutex);
    return impl_->sessions.size();
}

}  // namespace fallow::http

// How tunnels are opened: by a renter into its job, and by the agent that was asked for one.
#include <fmt/format.h>

#include <chrono>

#include "api/forwarded.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/tunnel_routes.hpp"
#include "api/tunnels.hpp"
#include "http/tunnel_pipe.hpp"

namespace fallow::api {
namespace {

using enum http::Method;
using market::LeaseState;

/// Nobody publishes to it: waiting on it is waiting for its deadline.
constexpr auto quiet_topic = "quiet/tunnel";

Status check_upgrade(const http::Request& request) {
    const std::string* upgrade = request.header("upgrade");
    if (upgrade != nullptr && *upgrade == http::tunnel_protocol) return Done{};
    return refuse(ErrorCode::missing_field,
                  fmt::format("A tunnel is opened with \"Connection: Upgrade\" and \"Upgrade: {}\".",
                              http::tunnel_protocol),
                  "header:Upgrade");
}

http::Reply tunnel_reply(std::shared_ptr<http::TunnelEnd> end) {
    http::Reply reply;
    reply.status = 101;
    reply.stream = std::move(end);
    return reply;
}

Error not_answered() {
    return refuse(ErrorCode::host_not_ready,
                  "The job's host did not answer: it may have lost touch with the server, or its agent "
                  "knows no tunnels yet. Try again.");
}

Error database_failed() {
    return refuse(ErrorCode::internal, "The server failed to open the tunnel.");
}

/// One renter's tunnel: found, announced, waited for, and watched while it is open.
class OpenedTunnel : public std::enable_shared_from_this<OpenedTunnel> {
  public:
    OpenedTunnel(Services& services, const auth::Actor& actor, JobId job, AsyncHandler::Done done)
        : services_(services),
          desk_(services.tunnels),
          organization_(actor.organization),
          key_(actor.key()),
          job_(job),
          id_(services.random()),
          done_(std::move(done)) {}

    void start() {
        const bool queued = services_.workers.submit([self = shared_from_this()](store::Connection& c) {
            try {
                self->announce(c);
            } catch (const std::exception& error) {
                self->services_.log.error("a tunnel was not opened", {{"error", error.what()}});
                self->fail(database_failed());
            }
        });
        if (!queued) fail(refuse(ErrorCode::queue_full, "The server has too much to do; try again."));
    }

  private:
    void announce(store::Connection& connection) {
        store::Transaction tx(connection, store::Actor::request(organization_));
        const auto job = find_row<market::Job>(tx, job_);
        if (!job) return fail(job.error());
        if (!job->lease)
            return fail(refuse(ErrorCode::wrong_state, "The job is not running: it has no lease yet."));
        const auto lease = find_row<market::Lease>(tx, *job->lease);
        if (!lease) return fail(lease.error());
        if (lease->job != job_ || lease->state != LeaseState::running)
            return fail(
                refuse(ErrorCode::wrong_state,
                       fmt::format("The job is not running: its lease is {}.", name_of(lease->state))));
        lease_ = lease->id;
        // Before the row: the agent may come as soon as it is there.
        const bool has_place = desk_.expect(
            id_, lease->host, organization_,
            [self = shared_from_this()](Result<std::shared_ptr<http::TunnelEnd>> end) { self->met(end); });
        if (!has_place)
            return fail(refuse(ErrorCode::rate_limited,
                               "Too many tunnels are open here; close one, or try again later."));
        tx.query(
            "INSERT INTO tunnels (id, organization_id, lease_id, host_id, home, expires_at) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            id_, organization_, lease->id, lease->host, desk_.address(), services_.now() + tunnel_wait);
        tx.commit();
        services_.hub.publish("host/" + lease->host.text());
        wait_until(engine::Hub::Clock::now() + std::chrono::milliseconds(tunnel_wait.count));
    }

    void wait_until(engine::Hub::Clock::time_point deadline) {
        services_.hub.wait(quiet_topic, services_.hub.version(quiet_topic), deadline,
                           [self = shared_from_this(), deadline](bool changed) {
                               if (changed) return self->wait_until(deadline);
                               self->desk_.refuse_waiting(self->id_, not_answered());
                           });
    }

    void fail(const Error& error) {
        // A tunnel that was expected is refused through its desk, and comes back here without one.
        desk_.refuse_waiting(id_, error);
        if (const auto done = std::exchange(done_, nullptr)) done(error);
    }

    void met(const Result<std::shared_ptr<http::TunnelEnd>>& end) {
        const auto done = std::exchange(done_, nullptr);
        if (!done) return;
        if (!end) return done(end.error());
        end_ = *end;
        done(tunnel_reply(*end));
        watch();
    }

    /// Looks again when something happens to the job, and now and then.
    void watch() {
        const std::string topic = "job/" + job_.text();
        const auto deadline = engine::Hub::Clock::now() + std::chrono::milliseconds(tunnel_check.count);
        services_.hub.wait(topic, services_.hub.version(topic), deadline,
                           [self = shared_from_this()](bool) {
                               const auto end = self->end_.lock();
                               if (!end || end->is_closed()) return;
                               if (self->services_.draining.load()) return end->close();
                               const bool queued = self->services_.workers.submit(
                                   [self](store::Connection& connection) { self->check(connection); });
                               if (!queued) self->watch();
                           });
    }

    void check(store::Connection& connection) {
        bool holds = true;
        try {
            store::Transaction tx(connection, store::Actor::request(organization_));
            const auto found = tx.query(
                "SELECT EXISTS (SELECT FROM leases WHERE id = $1 AND state = 'running') AND EXISTS (SELECT "
                "FROM api_keys WHERE id = $2 AND revoked_at IS NULL AND expires_at > $3)",
                lease_, key_.value_or(KeyId()), services_.now());
            holds = store::read_cell<bool>(found[0][0]);
        } catch (const std::exception& error) {
            // Without the database nothing can have been ended: the agent's own fence is what holds then.
            services_.log.warn("an open tunnel was not checked", {{"error", error.what()}});
        }
        const auto end = end_.lock();
        if (!end) return;
        if (!holds) return end->close();
        watch();
    }

    Services& services_;
    TunnelDesk& desk_;
    const OrganizationId organization_;
    const std::optional<KeyId> key_;
    const JobId job_;
    const TunnelId id_;
    LeaseId lease_;
    std::weak_ptr<http::TunnelEnd> end_;
    AsyncHandler::Done done_;
};

void open_tunnel(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done) {
    const auto job = Call{*exchange, services}.id<JobId>("job");
    if (!job) return done(job.error());
    if (const Status good = check_upgrade(exchange->request); !good) return done(good.error());
    open_tunnel_into(services, {exchange->actor, exchange->is_frozen}, *job, std::move(done));
}

/// Renters who wait for this host now. The agent has met some of them before.
Result<http::Reply> list_tunnels(JobCall& call) {
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const auto& row :
         call.tx.query("SELECT id, lease_id FROM tunnels WHERE expires_at > $1 ORDER BY sequence LIMIT $2",
                       call.services.now(), std::int64_t{tunnels_per_organization_max}))
        json.begin_object()
            .field("tunnel_id", store::read_cell<TunnelId>(row[0]))
            .field("lease_id", store::read_cell<LeaseId>(row[1]))
            .end_object();
    json.end_array().key("next_cursor").null().end_object();
    return json_reply(json.take());
}

Error no_such_tunnel() {
    return refuse(ErrorCode::not_found, "There is no such tunnel: nobody waits for it any more.");
}

/// The address of the server where the renter waits, or nothing.
std::optional<std::string> home_of(store::Connection& connection, TunnelId tunnel, HostId host, Time now) {
    return store::run_as(
        connection, store::Actor::agent(host), [&](store::Transaction& tx) -> std::optional<std::string> {
            const auto found =
                tx.query("SELECT home FROM tunnels WHERE id = $1 AND expires_at > $2", tunnel, now);
            if (found.empty()) return std::nullopt;
            return store::read_cell<std::string>(found[0][0]);
        });
}

void dial_home(const ExchangePtr& exchange, Services& services, const std::string& home,
               const AsyncHandler::Done& done) {
    TunnelDesk& desk = services.tunnels;
    http::Request request = exchange->request;
    mark_forwarded(request);
    const Time now = services.now();
    const auto own = services.authority.replica_certificate(now);
    desk.dialer().dial(
        {home, services.authority.certificate_pem(), own.chain_pem, own.private_key_pem, now.ms / 1000},
        std::move(request), [] {},
        [done](std::optional<http::Reply> reply) {
            if (!reply) return done(no_such_tunnel());
            done(std::move(*reply));
        });
}

void meet_tunnel(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done) {
    const auto tunnel = Call{*exchange, services}.id<TunnelId>("tunnel");
    if (!tunnel) return done(tunnel.error());
    if (const Status good = check_upgrade(exchange->request); !good) return done(good.error());
    const HostId host = *exchange->actor.host();
    TunnelDesk& desk = services.tunnels;
    if (auto end = desk.meet(*tunnel, host)) return done(tunnel_reply(std::move(end)));
    // The renter waits elsewhere, or has gone. Another server has looked it up already.
    if (exchange->is_forwarded) return done(no_such_tunnel());
    const bool queued = services.workers.submit(
        [exchange, &services, &desk, done, tunnel, host](store::Connection& connection) {
            try {
                const auto home = home_of(connection, *tunnel, host, services.now());
                if (!home || *home == desk.address()) return done(no_such_tunnel());
                dial_home(exchange, services, *home, done);
            } catch (const std::exception& error) {
                services.log.error("a tunnel was not joined", {{"error", error.what()}});
                done(database_failed());
            }
        });
    if (!queued) done(refuse(ErrorCode::queue_full, "The server has too much to do; try again."));
}

}  // namespace

void open_tunnel_into(Services& services, const Identity& identity, JobId job, AsyncHandler::Done done) {
    if (identity.is_frozen)
        return done(
            refuse(ErrorCode::frozen, "The organization is frozen by the operator; ask the operator why."));
    std::make_shared<OpenedTunnel>(services, identity.actor, job, std::move(done))->start();
}

void add_tunnel_routes(std::vector<Route>& routes) {
    routes.push_back({post, "/v1/jobs/{job}/tunnels", writes_as_renter(), no_body, not_keyed,
                      AsyncHandler{open_tunnel}});
    routes.push_back(
        {get, "/v1/agent/tunnels", Access::agent(), no_body, not_keyed, JobHandler{list_tunnels}});
    routes.push_back({post, "/v1/agent/tunnels/{tunnel}", Access::agent(), no_body, not_keyed,
                      AsyncHandler{meet_tunnel}});
}

}  // namespace fallow::api

#include "api/job_run.hpp"

#include "api/gateway.hpp"
#include "api/reply.hpp"
#include "api/sealed_reply.hpp"
#include "auth/sha256.hpp"
#include "store/accounts_store.hpp"

namespace fallow::api {
namespace {

constexpr int attempts_max = 3;

/// What seals a stored reply that holds a secret: the caller's own secret and key, neither of which is
/// stored.
std::string sealing_secret(const Exchange& exchange) {
    const std::string* authorization = exchange.request.header("authorization");
    const std::string* key = exchange.request.header("idempotency-key");
    return (authorization != nullptr ? *authorization : std::string()) + "\n" +
           (key != nullptr ? *key : std::string());
}

Result<http::Reply> replay(const Exchange& exchange, const accounts::StoredReply& stored) {
    if (!exchange.route->reply_is_secret) return stored_reply(stored.status, stored.body, true);
    auto body = open_reply(sealing_secret(exchange), stored.body);
    if (!body)
        return refuse(
            ErrorCode::idempotency_key_reused,
            "The stored reply holds a secret: repeat the request with the API key that made it first.",
            "header:Idempotency-Key");
    return stored_reply(stored.status, std::move(*body), true);
}

/// The handler inside its transaction; with a key, at most once.
Result<http::Reply> run_once(JobCall& call, const JobHandler& handler) {
    const Exchange& exchange = call.exchange;
    if (!exchange.route->needs_idempotency_key) return handler.run(call);
    store::IdempotencyStore store(call.tx);
    const accounts::IdempotencyKey key = idempotency_key_of(exchange);
    auto stored = store.claim(key);
    if (!stored) return stored.error();
    if (*stored) return replay(exchange, **stored);
    auto reply = handler.run(call);
    if (reply) {
        const std::string kept = exchange.route->reply_is_secret
                                     ? seal_reply(sealing_secret(exchange), reply->body)
                                     : reply->body;
        store.keep(key, {reply->status, kept}, call.services.now());
    }
    return reply;
}

Result<http::Reply> run_transaction(const Exchange& exchange, Services& services,
                                    store::Connection& connection) {
    const auto& handler = std::get<JobHandler>(exchange.route->handler);
    std::vector<std::string> topics;
    store::Transaction tx(connection, database_actor(handler.as, exchange.actor));
    JobCall call{{exchange, services}, tx, topics};
    auto reply = run_once(call, handler);
    if (!reply) return reply;
    tx.commit();
    for (const std::string& topic : topics)
        services.hub.publish(topic);
    return reply;
}

void run_on(store::Connection& connection, const ExchangePtr& exchange, Services& services) {
    for (int attempt = 1;; ++attempt) {
        try {
            return finish(exchange, run_transaction(*exchange, services, connection));
        } catch (const store::DatabaseError& error) {
            if (error.fault() == store::Fault::serialization && attempt < attempts_max) continue;
            return finish_failed(exchange, services, error);
        } catch (const std::exception& error) {
            return finish_failed(exchange, services, error.what());
        }
    }
}

}  // namespace

void run_job(const ExchangePtr& exchange, Services& services) {
    const bool queued = services.workers.submit(
        [exchange, &services](store::Connection& connection) { run_on(connection, exchange, services); });
    if (!queued)
        finish(exchange, refuse(ErrorCode::queue_full, "The server has too much to do; try again."));
}

store::Actor database_actor(JobHandler::As as, const auth::Actor& actor) {
    switch (as) {
        case JobHandler::As::admin:
            return store::Actor::admin();
        case JobHandler::As::auth:
            return store::Actor::auth();
        case JobHandler::As::requester:
            break;
    }
    if (const auto host = actor.host()) return store::Actor::agent(*host);
    return store::Actor::request(actor.organization);
}

accounts::IdempotencyKey idempotency_key_of(const Exchange& exchange) {
    const std::string* key = exchange.request.header("idempotency-key");
    FALLOW_ASSERT(key != nullptr);
    return {exchange.actor.organization, exchange.route->name(), *key,
            auth::sha256_hex(exchange.request.path + "\n" + exchange.request.body)};
}

}  // namespace fallow::api

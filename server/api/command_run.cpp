#include "api/command_run.hpp"

#include "api/explain_json.hpp"
#include "api/gateway.hpp"
#include "api/job_run.hpp"
#include "api/reply.hpp"
#include "http/problem.hpp"
#include "store/accounts_store.hpp"
#include "store/artifacts.hpp"
#include "store/secrets.hpp"

namespace fallow::api {
namespace {

struct Prepared {
    Decoded decoded;
    Encoding encoding;
    std::optional<accounts::StoredReply> replay;
};

const CommandHandler& handler_of(const Exchange& exchange) {
    return std::get<CommandHandler>(exchange.route->handler);
}

/// The engine's thread calls this before the commit; what it makes is stored with the command and sent
/// after it.
engine::Reply encode(const Exchange& exchange, Services& services, const Encoding& encoding,
                     const Result<market::Outcome>& outcome) {
    if (!outcome) {
        services.metrics.command(outcome.error().code);
        http::Reply problem =
            http::problem(outcome.error(), exchange.request.request_id, problem_members(outcome.error()));
        return {problem.status, std::move(problem.body)};
    }
    services.metrics.command(std::nullopt);
    const CommandHandler& handler = handler_of(exchange);
    return {handler.status, handler.encode(*outcome, encoding)};
}

/// The engine took it not, because the leadership had just ended: whoever leads next may.
void on_refused(const ExchangePtr& exchange, Services& services, const Error& error) {
    if (error.code == ErrorCode::queue_full) return finish(exchange, error);
    if (exchange->is_forwarded)
        return finish(exchange, refuse(ErrorCode::not_leader, "This server does not lead the market."));
    services.forwarder.forward(exchange,
                               [&services](const ExchangePtr& here) { run_command(here, services); });
}

void submit(const ExchangePtr& exchange, Services& services, Decoded decoded, Encoding encoding) {
    engine::Submission submission;
    submission.command = std::move(decoded.command);
    submission.caller = caller_of(*exchange);
    if (exchange->route->needs_idempotency_key) {
        auto key = idempotency_key_of(*exchange);
        submission.idempotency = engine::IdempotencyKey{key.organization, std::move(key.route),
                                                        std::move(key.key), std::move(key.body_hash)};
    }
    submission.encode = [exchange, &services,
                         encoding = std::move(encoding)](const Result<market::Outcome>& outcome) {
        return encode(*exchange, services, encoding, outcome);
    };
    submission.done = [exchange, &services, key = submission.idempotency](engine::Reply reply,
                                                                          bool replayed) {
        if (key) services.key_filter.add(key->organization, key->route, key->key);
        finish(exchange, stored_reply(reply.status, std::move(reply.body), replayed));
    };
    if (const Status queued = services.engine.submit(std::move(submission)); !queued)
        on_refused(exchange, services, queued.error());
}

bool may_be_a_repeat(const Exchange& exchange, const Services& services) {
    if (!exchange.route->needs_idempotency_key) return false;
    const auto epoch = services.engine.confirmed_epoch();
    if (!epoch || !services.key_filter.is_complete_for(*epoch)) return true;
    return services.key_filter.maybe_contains(exchange.actor.organization, exchange.route->name(),
                                              *exchange.request.header("idempotency-key"));
}

/// A repeat's stored reply, the inputs' check and the handler's own preparation, in one transaction.
Result<Prepared> prepare(const Exchange& exchange, Services& services, store::Connection& connection,
                         Prepared prepared) {
    std::vector<std::string> topics;
    store::Transaction tx(connection, exchange.route->access.is_admin()
                                          ? store::Actor::admin()
                                          : database_actor(JobHandler::As::requester, exchange.actor));
    JobCall call{{exchange, services}, tx, topics};
    // Whatever brought the request here: a repeat must not be judged by what its first try has changed.
    if (exchange.route->needs_idempotency_key) {
        auto stored = store::IdempotencyStore(tx).claim(idempotency_key_of(exchange));
        if (!stored) return stored.error();
        prepared.replay = std::move(*stored);
        if (prepared.replay) return prepared;
    }
    const Decoded& decoded = prepared.decoded;
    if (!decoded.inputs.empty()) {
        const Status complete =
            store::ArtifactStore(tx, call.author())
                .require_complete(decoded.inputs, decoded.inputs_needed_until, decoded.inputs_pointer);
        if (!complete) return complete.error();
    }
    if (!decoded.secrets.empty()) {
        const Status there =
            store::SecretStore(tx, call.author()).require(decoded.secrets, decoded.inputs_pointer);
        if (!there) return there.error();
    }
    if (decoded.registry_secret) {
        const Status there =
            store::SecretStore(tx, call.author())
                .require_one(*decoded.registry_secret, decoded.inputs_pointer + "/registry_secret");
        if (!there) return there.error();
    }
    if (const auto own = handler_of(exchange).prepare) {
        auto document = own(call, prepared.decoded.command);
        if (!document) return document.error();
        prepared.encoding.document = std::move(*document);
    }
    tx.commit();
    return prepared;
}

void prepare_and_submit(const ExchangePtr& exchange, Services& services, store::Connection& connection,
                        Prepared given) {
    try {
        auto prepared = prepare(*exchange, services, connection, std::move(given));
        if (!prepared) return finish(exchange, prepared.error());
        if (prepared->replay)
            return finish(exchange,
                          stored_reply(prepared->replay->status, std::move(prepared->replay->body), true));
        submit(exchange, services, std::move(prepared->decoded), std::move(prepared->encoding));
    } catch (const store::DatabaseError& error) {
        finish_failed(exchange, services, error);
    } catch (const std::exception& error) {
        finish_failed(exchange, services, error.what());
    }
}

/// What the encoder needs and the outcome does not hold, as far as it comes with the command itself.
Encoding encoding_of(const Exchange& exchange, const Services& services, const market::Command& command) {
    Encoding encoding;
    encoding.viewer = exchange.actor.organization;
    encoding.key = &services.signing_key;
    if (const auto* order = std::get_if<market::PlaceOrder>(&command); order != nullptr && order->job)
        encoding.document = order->job->document;
    if (const auto* attach = std::get_if<market::AttachJob>(&command))
        encoding.document = attach->job.document;
    if (const auto* withdrawal = std::get_if<market::Withdraw>(&command))
        encoding.account = withdrawal->account;
    return encoding;
}

}  // namespace

void run_command(const ExchangePtr& exchange, Services& services) {
    auto decoded = handler_of(*exchange).decode(Call{*exchange, services});
    if (!decoded) return finish(exchange, decoded.error());
    Encoding encoding = encoding_of(*exchange, services, decoded->command);
    const bool needs_database = handler_of(*exchange).prepare != nullptr || !decoded->inputs.empty() ||
                                !decoded->secrets.empty() || decoded->registry_secret.has_value() ||
                                may_be_a_repeat(*exchange, services);
    if (!needs_database) return submit(exchange, services, std::move(*decoded), std::move(encoding));

    auto prepared =
        std::make_shared<Prepared>(Prepared{std::move(*decoded), std::move(encoding), std::nullopt});
    const bool queued =
        services.workers.submit([exchange, &services, prepared](store::Connection& connection) {
            prepare_and_submit(exchange, services, connection, std::move(*prepared));
        });
    if (!queued)
        finish(exchange, refuse(ErrorCode::queue_full, "The server has too much to do; try again."));
}

market::Caller caller_of(const Exchange& exchange) {
    market::Caller caller;
    caller.organization = exchange.actor.organization;
    caller.admin = exchange.route->access.is_admin();
    caller.host = exchange.actor.host();
    caller.name = caller.host            ? caller.host->text()
                  : exchange.actor.key() ? exchange.actor.key()->text()
                                         : "system";
    return caller;
}

}  // namespace fallow::api

#include "api/enrollment.hpp"

#include <utility>

#include "api/agent_decode.hpp"
#include "api/host_key.hpp"
#include "api/json_writer.hpp"
#include "api/reply.hpp"
#include "api/services.hpp"
#include "auth/base64.hpp"
#include "auth/keys.hpp"
#include "store/accounts_store.hpp"

namespace fallow::api {
namespace {

constexpr auto proof_prefix = "fallow-enroll-v1\n";

struct Reserved {
    accounts::EnrollmentToken token;
    bool is_enrolled = false;  ///< by an earlier try whose reply was lost
};

Status check_proof(const Enrollment& enrollment) {
    if (!auth::check_form(auth::SecretKind::enrollment_token, enrollment.token))
        return refuse(ErrorCode::token_invalid, "Give an enrolment token of this server, fallow_enroll_….",
                      "/token");
    const auto key = auth::base64_decode(enrollment.signing_key);
    const auto proof = auth::base64_decode(enrollment.proof);
    if (!key || !proof || !auth::verify(*key, proof_prefix + enrollment.token, *proof))
        return refuse(ErrorCode::signature_invalid,
                      "Sign \"fallow-enroll-v1\", a line end and the token with the signing key.",
                      "/proof");
    return Done{};
}

Result<Reserved> reserve(store::Connection& connection, Services& services, const Enrollment& enrollment) {
    store::Transaction tx(connection, store::Actor::auth());
    const Time now = services.now();
    auto token = store::AuthStore(tx, {"system", now})
                     .reserve_token(auth::key_hash(enrollment.token), HostId(services.random()),
                                    enrollment.signing_key, now);
    if (!token) return token.error();
    const bool is_enrolled = !tx.query("SELECT 1 FROM hosts WHERE id = $1", *token->host).empty();
    tx.commit();
    return Reserved{std::move(*token), is_enrolled};
}

market::EnrollHost enroll_command(Services& services, const Enrollment& enrollment,
                                  const accounts::EnrollmentToken& token) {
    market::EnrollHost command;
    command.host = *token.host;
    command.name = token.name;
    command.country = token.country;
    command.runtime = enrollment.runtime;
    command.engine = enrollment.engine;
    command.agent_version = enrollment.agent_version;
    command.cpu_cores = enrollment.cpu_cores;
    command.memory_bytes = enrollment.memory_bytes;
    command.signing_key = enrollment.signing_key;
    command.signing_key_certificate =
        certify_host_key(services.signing_key, *token.host, enrollment.signing_key, services.now());
    return command;
}

/// Issues and records a certificate inside `tx`, whose role is auth.
Result<auth::AgentCertificate> issue(store::Transaction& tx, Services& services, std::string_view csr,
                                     HostId host, OrganizationId organization) {
    const Time now = services.now();
    auto certificate =
        services.authority.issue_agent(csr, host, now, Millis(services.config.agent_certificate_ms));
    if (!certificate) return certificate;
    store::AuthStore(tx, {host.text(), now})
        .record_certificate(
            {certificate->serial_hex, organization, host, now, certificate->not_after, std::nullopt});
    return certificate;
}

http::Reply enrolled_reply(const Services& services, HostId host,
                           const auth::AgentCertificate& certificate) {
    JsonWriter json;
    json.begin_object()
        .field("host_id", host)
        .field("certificate", certificate.chain_pem)
        .field("certificate_expires_at", certificate.not_after)
        .field("server_key", auth::base64_encode(services.signing_key.public_key()))
        .field("heartbeat_interval_ms", services.config.heartbeat_interval_ms)
        .field("market", services.config.market)
        .end_object();
    return json_reply(json.take(), 201);
}

/// One enrolment on its way through worker, engine and worker.
class Run : public std::enable_shared_from_this<Run> {
  public:
    Run(Services& services, Enrollment enrollment, AsyncHandler::Done done)
        : services_(services), enrollment_(std::move(enrollment)), done_(std::move(done)) {}

    void start() {
        on_worker([](Run& self, store::Connection& connection) {
            auto reserved = reserve(connection, self.services_, self.enrollment_);
            if (!reserved) return self.done_(reserved.error());
            self.token_ = std::move(reserved->token);
            if (reserved->is_enrolled) return self.finish(connection);
            self.submit();
        });
    }

  private:
    using Step = void (*)(Run&, store::Connection&);

    void on_worker(Step step) {
        const bool queued =
            services_.workers.submit([self = shared_from_this(), step](store::Connection& connection) {
                try {
                    step(*self, connection);
                } catch (const std::exception& error) {
                    self->services_.log.error("enrolment failed", {{"error", error.what()}});
                    self->done_(refuse(ErrorCode::internal,
                                       "The enrolment failed; repeat it with the same token and key."));
                }
            });
        if (!queued) done_(refuse(ErrorCode::queue_full, "The server has too much to do; try again."));
    }

    void submit() {
        engine::Submission submission;
        submission.command = enroll_command(services_, enrollment_, token_);
        submission.caller = {token_.organization, false, std::nullopt, "system"};
        submission.encode = [self = shared_from_this()](const Result<market::Outcome>& outcome) {
            if (!outcome)
                self->refusal_ = outcome.error();
            else
                self->refusal_.reset();
            return engine::Reply{outcome ? 201 : 409, {}};
        };
        submission.done = [self = shared_from_this()](const engine::Reply& reply, bool) {
            // A reply that encode() did not make is the engine's own: the command was set aside.
            if (self->refusal_) return self->done_(*self->refusal_);
            if (reply.status != 201)
                return self->done_(refuse(ErrorCode::internal, "The enrolment failed; repeat it."));
            self->on_worker([](Run& run, store::Connection& connection) { run.finish(connection); });
        };
        if (const Status queued = services_.engine.submit(std::move(submission)); !queued)
            done_(queued.error());
    }

    void finish(store::Connection& connection) {
        store::Transaction tx(connection, store::Actor::auth());
        const auto certificate = issue(tx, services_, enrollment_.csr, *token_.host, token_.organization);
        if (!certificate) return done_(certificate.error());
        tx.commit();
        services_.hub.publish("journal");
        done_(enrolled_reply(services_, *token_.host, *certificate));
    }

    Services& services_;
    const Enrollment enrollment_;
    const AsyncHandler::Done done_;
    accounts::EnrollmentToken token_;
    std::optional<Error> refusal_;
};

}  // namespace

void enroll(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done) {
    auto enrollment = decode_enrollment(exchange->request.body);
    if (!enrollment) return done(enrollment.error());
    if (const Status good = check_proof(*enrollment); !good) return done(good.error());
    // A request that cannot be signed must not use the token up.
    const auto trial =
        services.authority.issue_agent(enrollment->csr, HostId(services.random()), services.now());
    if (!trial) return done(trial.error());
    std::make_shared<Run>(services, std::move(*enrollment), std::move(done))->start();
}

Result<http::Reply> renew_certificate(JobCall& call) {
    const auto csr = decode_certificate_request(call.request().body);
    if (!csr) return csr.error();
    const auto certificate =
        issue(call.tx, call.services, *csr, *call.actor().host(), call.actor().organization);
    if (!certificate) return certificate.error();
    call.publish.emplace_back("journal");
    JsonWriter json;
    json.begin_object()
        .field("certificate", certificate->chain_pem)
        .field("certificate_expires_at", certificate->not_after)
        .end_object();
    return json_reply(json.take());
}

}  // namespace fallow::api

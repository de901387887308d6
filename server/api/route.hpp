// api/: everything between http::Service and the engine or the database. The one route table,
// authentication, decoding, encoding, idempotency, streams, and the composition of the server. It is not
// the market: a handler decodes, makes one call and encodes, and has no opinion on what may be sold, rented
// or paid.
//
// route.hpp: what a row of the table is.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "accounts/accounts.hpp"
#include "auth/actor.hpp"
#include "auth/signing.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "http/message.hpp"
#include "market/commands.hpp"
#include "store/transaction.hpp"

namespace fallow::api {

struct Services;
struct Route;

/// Who may call a route. There is no default: a row is not complete without it.
class Access {
  public:
    enum class Kind { open, key, agent };

    /// Anybody. Of /v1 only what tells nothing, and an agent's enrolment, which brings its token in the
    /// body.
    [[nodiscard]] static Access open() { return Access(Kind::open, {}); }
    /// Any API key that is valid.
    [[nodiscard]] static Access any_key() { return Access(Kind::key, {}); }
    /// An API key with one of these scopes.
    [[nodiscard]] static Access key(auth::ScopeSet any_of) { return Access(Kind::key, any_of); }
    /// A host's agent, by its client certificate.
    [[nodiscard]] static Access agent() { return Access(Kind::agent, {}); }

    [[nodiscard]] Kind kind() const { return kind_; }
    [[nodiscard]] auth::ScopeSet any_of() const { return any_of_; }
    [[nodiscard]] bool is_admin() const { return any_of_ == auth::ScopeSet{auth::Scope::admin}; }

  private:
    Access(Kind kind, auth::ScopeSet any_of) : kind_(kind), any_of_(any_of) {}
    Kind kind_;
    auth::ScopeSet any_of_;
};

/// What a request may bring.
struct Body {
    enum class Type { none, json, octets, dropped };  ///< dropped: octets that are read and not kept
    Type type = Type::none;
    std::size_t bytes_max = 0;
};
inline constexpr Body no_body{};
inline constexpr Body small_json{Body::Type::json, 16 * 1024};
inline constexpr Body job_json{Body::Type::json, 2 * limits::job_spec_bytes_max};
inline constexpr Body large_json{Body::Type::json, limits::request_body_bytes_max};
inline constexpr Body part_octets{Body::Type::octets, limits::artifact_part_bytes_max};

/// One request on its way: lives from its arrival to its reply, whichever threads work on it.
struct Exchange {
    http::Request request;
    http::Fields parameters;  ///< of the path
    const Route* route = nullptr;
    auth::Actor actor;          ///< of an open route: nobody
    bool is_frozen = false;     ///< the actor's organization is
    bool is_forwarded = false;  ///< another server has taken it for the leader
    std::function<void(http::Reply)> respond;
};
using ExchangePtr = std::shared_ptr<Exchange>;

/// What a handler sees of it.
struct Call {
    const Exchange& exchange;
    Services& services;

    [[nodiscard]] const http::Request& request() const { return exchange.request; }
    [[nodiscard]] const auth::Actor& actor() const { return exchange.actor; }
    [[nodiscard]] const std::string& parameter(std::string_view name) const;
    /// An id in the path; invalid_id when it has another form.
    template <class AnyId>
    [[nodiscard]] Result<AnyId> id(std::string_view name) const {
        if (const auto parsed = AnyId::parse(parameter(name))) return *parsed;
        return refuse(ErrorCode::invalid_id, "The id in the path must be \"" + std::string(AnyId::prefix) +
                                                 "_\" and 26 lower-case letters and digits.");
    }
    /// "key_…" or "host_…".
    [[nodiscard]] std::string actor_name() const;
    [[nodiscard]] accounts::Author author() const;
};

/// A call inside one database transaction, on a worker's thread.
struct JobCall : Call {
    store::Transaction& tx;
    /// Topics of the hub to publish once the transaction is committed.
    std::vector<std::string>& publish;
};

/// A market command: decode, engine, encode.
struct Decoded {
    market::Command command;
    std::vector<ArtifactId> inputs;  ///< must exist, be complete and belong to the caller
    Time inputs_needed_until;
    std::string inputs_pointer;                       ///< where a job stands in the body: "" or "/job"
    std::vector<std::string> secrets;                 ///< names; the caller's organization must have them
    std::optional<std::string> registry_secret = {};  ///< as one of those
};
struct Encoding {
    OrganizationId viewer;
    std::string document;  ///< of the job in the outcome, if there is one
    ledger::AccountKind account = ledger::AccountKind::earned;  ///< that a withdrawal takes from
    const auth::SigningKey* key = nullptr;                      ///< the server's, for what is signed
};
struct CommandHandler {
    Result<Decoded> (*decode)(const Call&) = nullptr;
    std::string (*encode)(const market::Outcome&, const Encoding&) = nullptr;
    int status = 200;
    /// Runs before the command on a worker, in a transaction of the caller; yields Encoding::document.
    /// Optional.
    Result<std::string> (*prepare)(JobCall&, market::Command&) = nullptr;
};

/// One blocking function in one transaction.
struct JobHandler {
    enum class As {
        requester,
        admin,
        auth
    };  ///< requester: the organization of a key, or the host of an agent
    Result<http::Reply> (*run)(JobCall&) = nullptr;
    As as = As::requester;
};

/// Answers at once, without a database.
struct DirectHandler {
    Result<http::Reply> (*run)(const Call&) = nullptr;
};

/// Answers later, by itself. `done` is called once, from any thread.
struct AsyncHandler {
    using Done = std::function<void(Result<http::Reply>)>;
    void (*run)(const ExchangePtr&, Services&, Done) = nullptr;
};

struct Route {
    http::Method method;
    std::string pattern;
    Access access;
    Body body;
    bool needs_idempotency_key;
    std::variant<CommandHandler, JobHandler, DirectHandler, AsyncHandler> handler;
    bool reply_is_secret = false;  ///< its stored reply is sealed: see sealed_reply.hpp
    bool is_for_leader = false;    ///< no command, and yet only the market's leader can answer

    /// "POST /v1/orders/{order}/cancel": the name of the route, also in idempotency records.
    [[nodiscard]] std::string name() const;
};

inline constexpr bool keyed = true;
inline constexpr bool not_keyed = false;
inline constexpr bool for_leader = true;

}  // namespace fallow::api

#include "api/apps.hpp"

#include <fmt/format.h>

#include <limits>
#include <utility>

#include "api/routes.hpp"
#include "api/tunnel_routes.hpp"
#include "auth/derived_secret.hpp"
#include "http/guest_head.hpp"
#include "http/guest_link.hpp"
#include "http/problem.hpp"

namespace fallow::api {
namespace {

/// The one path below every name that no guest sees.
constexpr std::string_view own_path = "/.fallow/";
constexpr std::string_view session_path = "/.fallow/session";

constexpr std::string_view sign_in_page =
    "<!doctype html><meta charset=\"utf-8\"><title>Not signed in</title>"
    "<p>A program in a running job answers here, for its renter alone."
    "<p>Run <code>fallow job open JOB PORT</code> and follow the link that it prints.";

Error not_signed_in(std::string detail) {
    return refuse(ErrorCode::unauthenticated, std::move(detail), "header:Authorization");
}

/// A browser that is about to show a page.
bool wants_page(const http::Request& request) {
    const std::string* accept = request.header("accept");
    return request.method == http::Method::get && accept != nullptr &&
           accept->find("text/html") != std::string::npos;
}

http::Reply refusal_page() {
    http::Reply reply;
    reply.status = 401;
    reply.content_type = "text/html; charset=utf-8";
    reply.body = sign_in_page;
    reply.headers = {{"WWW-Authenticate", "Bearer"},
                     {"Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"},
                     {"Referrer-Policy", "no-referrer"}};
    return reply;
}

/// One that is mistyped counts as well: it is not for the guest to see.
bool names_key(const http::Request& request) {
    const std::string* authorization = request.header("authorization");
    return authorization != nullptr && authorization->find("fallow_") != std::string::npos;
}

http::GuestCall guest_call(const http::Request& request) {
    http::GuestCall call;
    call.is_head = request.method == http::Method::head;
    call.is_websocket = http::asks_for_websocket(request);
    http::Fields headers;
    for (auto& field : http::passed_request_headers(request)) {
        const bool is_secret =
            field.first == "cookie" || (field.first == "authorization" && names_key(request));
        if (!is_secret) headers.push_back(std::move(field));
    }
    if (std::string others = split_cookies(request).others; !others.empty())
        headers.emplace_back("cookie", std::move(others));
    call.head = http::guest_request_head(request, headers, call.is_websocket);
    return call;
}

}  // namespace

struct AppPlaces::Place {
    Place(std::shared_ptr<Counts> given, const std::string& named) : counts(std::move(given)), job(named) {}
    ~Place() {
        const std::lock_guard lock(counts->mutex);
        const auto at = counts->per_job.find(job);
        if (at != counts->per_job.end() && --at->second == 0) counts->per_job.erase(at);
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    const std::shared_ptr<Counts> counts;
    const std::string job;
};

std::shared_ptr<const void> AppPlaces::enter(const std::string& job) {
    {
        const std::lock_guard lock(counts_->mutex);
        int& own = counts_->per_job[job];
        if (own >= app_connections_per_job_max) return nullptr;
        ++own;
    }
    return std::make_shared<const Place>(counts_, job);
}

struct Apps::Call {
    http::Request request;
    std::function<void(http::Reply)> respond;
    AppName name = {};

    void answer(const Error& error) const {
        if (kind_of(error.code) == ErrorKind::unauthenticated && wants_page(request))
            return respond(refusal_page());
        respond(http::problem(error, request.request_id));
    }
    void grant(std::shared_ptr<http::GuestLink> link) const {
        link->call = guest_call(request);
        http::Reply reply;
        reply.stream = std::move(link);
        respond(std::move(reply));
    }
};

Apps::Apps(Services& services, Authenticator& authenticator)
    : services_(services),
      authenticator_(authenticator),
      secret_(auth::derived_secret(services.signing_key, app_secret_label)) {}

bool Apps::is_for_app(const http::Request& request) const {
    const std::string* host = request.header("host");
    return host != nullptr && is_app_host(*host, services_.config.apps_domain);
}

Result<http::BodyLimit> Apps::on_head() const {
    if (services_.draining.load())
        return refuse(ErrorCode::draining, "The server is stopping; try again in a moment.");
    http::BodyLimit limit;
    limit.bytes_max = std::numeric_limits<std::size_t>::max();
    limit.is_relayed = true;
    return limit;
}

void Apps::handle(http::Request request, std::function<void(http::Reply)> respond) {
    const auto call = std::make_shared<Call>();
    call->request = std::move(request);
    call->respond = std::move(respond);
    const auto name = parse_app_name(*call->request.header("host"), services_.config.apps_domain);
    if (!name) return call->answer(refuse(ErrorCode::not_found, "No port of a job has this name."));
    call->name = *name;
    if (call->request.path == session_path) return sign_in(call);
    if (call->request.path.starts_with(own_path))
        return call->answer(refuse(ErrorCode::route_not_found, "There is nothing at this path."));

    const auto go_on = [this, call](const Result<Identity>& identity) {
        if (!identity) return call->answer(identity.error());
        let_in(call, *identity);
    };
    if (const auto key = Authenticator::key_hash_of(call->request))
        return authenticator_.authenticate_key(*key, go_on);
    if (names_key(call->request))
        return call->answer(not_signed_in("Send a valid API key: Authorization: Bearer fallow_…."));
    const auto cookies = split_cookies(call->request);
    const auto grant = grant_of(call, cookies.pass ? &*cookies.pass : nullptr, AppPass::session);
    if (!grant)
        return call->answer(
            not_signed_in("Send the renter's API key, or follow a link of \"fallow job open\"."));
    if (is_cross_origin(call->request))
        return call->answer(not_signed_in("Nobody is signed in for what another site's page asks."));
    authenticator_.authenticate_key(grant->key_hash, go_on);
}

std::optional<AppGrant> Apps::grant_of(const CallPtr& call, const std::string* pass, AppPass kind) const {
    if (pass == nullptr) return std::nullopt;
    return open_app_pass(secret_, kind, call->name, *pass, services_.now());
}

/// A link's token becomes a cookie of this name, while its key is still good.
void Apps::sign_in(const CallPtr& call) {
    const auto grant = grant_of(call, call->request.query_value("token"), AppPass::link);
    if (!grant) return call->answer(not_signed_in("The link is over or for another name; make a new one."));
    authenticator_.authenticate_key(
        grant->key_hash, [this, call, key_hash = grant->key_hash](const Result<Identity>& identity) {
            if (!identity) return call->answer(identity.error());
            const AppGrant session{key_hash, services_.now() + app_session_life};
            http::Reply reply;
            reply.status = 303;
            reply.content_type.clear();
            reply.headers = {
                {"Location", "/"},
                {"Referrer-Policy", "no-referrer"},
                {"Set-Cookie",
                 fmt::format("{}={}; Max-Age={}; Path=/; Secure; HttpOnly; SameSite=Lax", http::app_cookie,
                             make_app_pass(secret_, AppPass::session, call->name, session),
                             app_session_life.count / 1000)}};
            call->respond(std::move(reply));
        });
}

void Apps::let_in(const CallPtr& call, const Identity& identity) {
    if (const Status good = check_access(writes_as_renter(), identity.actor); !good)
        return call->answer(good.error());
    const std::string job = identity.actor.organization.text() + "/" + call->name.job.text();
    const std::string key = identity.actor.key() ? identity.actor.key()->text() : std::string();
    const std::string owner = fmt::format("{}/{}/{}", key, job, call->name.port);
    auto kept = std::dynamic_pointer_cast<http::GuestLink>(std::exchange(call->request.kept, nullptr));
    if (kept && kept->owner() == owner && !identity.is_frozen) return call->grant(std::move(kept));
    kept.reset();

    const auto place = places_.enter(job);
    if (!place)
        return call->answer(refuse(ErrorCode::rate_limited,
                                   "Too many connections lead to this job here; try again later."));
    open_tunnel_into(
        services_, identity, call->name.job, [call, owner, place](const Result<http::Reply>& reply) {
            if (!reply) return call->answer(reply.error());
            call->grant(
                std::make_shared<http::GuestLink>(http::tunnel_of(*reply), owner, call->name.port, place));
        });
}

}  // namespace fallow::api

#include "api/authenticator.hpp"

#include <fmt/format.h>

#include <optional>

#include "auth/keys.hpp"
#include "store/accounts_store.hpp"

namespace fallow::api {
namespace {

constexpr std::size_t cached_max = 65'536;

Error no_key() {
    return refuse(ErrorCode::unauthenticated, "Send a valid API key: Authorization: Bearer fallow_….",
                  "header:Authorization");
}

Error no_certificate() {
    return refuse(ErrorCode::unauthenticated,
                  "Connect with the client certificate that the host got when it was enrolled.");
}

/// The key in "Bearer fallow_…", if it has a key's form.
std::optional<std::string_view> bearer(const http::Request& request) {
    const std::string* header = request.header("authorization");
    if (header == nullptr || header->size() < 7) return std::nullopt;
    std::string_view text = *header;
    constexpr std::string_view scheme = "bearer ";
    for (std::size_t i = 0; i < scheme.size(); ++i) {
        const char c = text[i];
        if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c) != scheme[i]) return std::nullopt;
    }
    text.remove_prefix(scheme.size());
    if (!auth::check_form(auth::SecretKind::api_key, text)) return std::nullopt;
    return text;
}

LookupCache<KnownIdentity>::Vouch vouch_of(const IdentityWatch* watch) {
    if (watch == nullptr) return nullptr;
    return [watch]() -> std::uint64_t {
        // The version first: a change between the two is then seen as one.
        const std::uint64_t version = watch->version();
        const auto unseen_for = IdentityWatch::Clock::now() - watch->confirmed_at();
        return unseen_for <= LookupCache<KnownIdentity>::usable_for ? version : 0;
    };
}

KnownIdentity identity_of(const accounts::FoundKey& found) {
    const accounts::ApiKey& key = found.key;
    const auto scopes = auth::parse_scopes(key.scopes);
    if (key.revoked_at || !scopes)
        return {refuse(ErrorCode::key_revoked, "The API key was revoked; use another."), key.expires_at};
    return {Identity{auth::Actor{key.organization, *scopes, key.id}, found.organization_frozen},
            key.expires_at};
}

KnownIdentity identity_of(const accounts::FoundCertificate& found) {
    const accounts::AgentCertificate& certificate = found.certificate;
    if (certificate.revoked_at || found.host_retired)
        return {
            refuse(ErrorCode::unauthenticated, "The host's certificate was revoked; enrol the host again."),
            certificate.expires_at};
    return {
        Identity{auth::Actor{certificate.organization, {}, certificate.host}, found.organization_frozen},
        certificate.expires_at};
}

}  // namespace

Authenticator::Authenticator(store::WorkerPool& workers, ops::Log& log, std::function<Time()> now,
                             const IdentityWatch* watch)
    : workers_(workers),
      log_(log),
      now_(std::move(now)),
      keys_(
          cached_max,
          [this](const std::string& name, Cache::Done done) { load_key(name, std::move(done)); },
          &Cache::Clock::now, vouch_of(watch)),
      certificates_(
          cached_max,
          [this](const std::string& name, Cache::Done done) { load_certificate(name, std::move(done)); },
          &Cache::Clock::now, vouch_of(watch)) {}

Status Authenticator::check_form(const http::Request& request, Access::Kind kind) {
    if (kind == Access::Kind::key && !bearer(request)) return no_key();
    if (kind == Access::Kind::agent && !request.certificate) return no_certificate();
    return Done{};
}

void Authenticator::authenticate(const http::Request& request, Access::Kind kind, OnIdentity done) {
    if (kind == Access::Kind::open) return done(Identity{});
    if (const Status good = check_form(request, kind); !good) return done(good.error());
    const auto judged = [this, done = std::move(done)](const Cache::Found& found) { done(judge(found)); };
    if (kind == Access::Kind::key) return keys_.get(auth::key_hash(*bearer(request)), judged);

    // The certificate was verified by TLS; its name must be the one it was issued for all the same.
    const std::string& name = request.certificate->common_name;
    certificates_.get(request.certificate->serial_hex, [judged, name](const Cache::Found& found) {
        if (found && found->identity && found->identity->actor.host()->text() != name) {
            static const Cache::Found stranger =
                std::make_shared<KnownIdentity>(KnownIdentity{no_certificate(), Time(INT64_MAX)});
            return judged(stranger);
        }
        judged(found);
    });
}

void Authenticator::authenticate_key(const std::string& key_hash, OnIdentity done) {
    keys_.get(key_hash, [this, done = std::move(done)](const Cache::Found& found) { done(judge(found)); });
}

std::optional<std::string> Authenticator::key_hash_of(const http::Request& request) {
    const auto key = bearer(request);
    if (!key) return std::nullopt;
    return auth::key_hash(*key);
}

Result<Identity> Authenticator::judge(const Cache::Found& found) const {
    if (!found)
        return refuse(ErrorCode::queue_full, "The server cannot check who asks at the moment; try again.");
    if (found->identity && found->ends_at <= now_())
        return refuse(found->identity->actor.host() ? ErrorCode::unauthenticated : ErrorCode::key_expired,
                      "The API key or certificate has expired; use a newer one.");
    return found->identity;
}

void Authenticator::load_key(const std::string& hash, Cache::Done done) {
    const bool queued = workers_.submit([this, hash, done](store::Connection& connection) {
        Cache::Found found;
        try {
            found = store::run_as(connection, store::Actor::auth(), [&](store::Transaction& tx) {
                const auto key = store::AuthStore(tx, {"system", now_()}).find_key(hash);
                return std::make_shared<const KnownIdentity>(
                    key ? identity_of(*key) : KnownIdentity{no_key(), Time(INT64_MAX)});
            });
        } catch (const std::exception& error) {
            log_.error("API key lookup failed", {{"error", error.what()}});
        }
        done(found);
    });
    if (!queued) done(nullptr);
}

void Authenticator::load_certificate(const std::string& serial, Cache::Done done) {
    const bool queued = workers_.submit([this, serial, done](store::Connection& connection) {
        Cache::Found found;
        try {
            found = store::run_as(connection, store::Actor::auth(), [&](store::Transaction& tx) {
                const auto known = store::AuthStore(tx, {"system", now_()}).find_certificate(serial);
                return std::make_shared<const KnownIdentity>(
                    known ? identity_of(*known) : KnownIdentity{no_certificate(), Time(INT64_MAX)});
            });
        } catch (const std::exception& error) {
            log_.error("agent certificate lookup failed", {{"error", error.what()}});
        }
        done(found);
    });
    if (!queued) done(nullptr);
}

Status check_access(const Access& access, const auth::Actor& actor) {
    if (access.kind() != Access::Kind::key || access.any_of().empty()) return Done{};
    for (const auth::Scope scope :
         {auth::Scope::seller_read, auth::Scope::seller_write, auth::Scope::renter_read,
          auth::Scope::renter_write, auth::Scope::admin})
        if (access.any_of().has(scope) && actor.scopes.has(scope)) return Done{};
    std::string wanted;
    for (const std::string& name : access.any_of().names())
        wanted += (wanted.empty() ? "" : " or ") + name;
    return refuse(ErrorCode::scope_missing, fmt::format("Use an API key with the scope {}.", wanted));
}

}  // namespace fallow::api

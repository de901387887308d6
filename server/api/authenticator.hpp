// Who asks: API keys and agents' client certificates, looked up in the database and remembered for less
// than a second, or for as long as the identity watch vouches that nothing has changed.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "api/identity_watch.hpp"
#include "api/lookup_cache.hpp"
#include "api/route.hpp"
#include "ops/log.hpp"
#include "store/worker_pool.hpp"

namespace fallow::api {

struct Identity {
    auth::Actor actor;
    bool is_frozen = false;  ///< its organization is: it may read, and change nothing
};

/// What a lookup found: an identity with its end, or why there is none.
struct KnownIdentity {
    Result<Identity> identity = refuse(ErrorCode::unauthenticated, {});
    Time ends_at;
    [[nodiscard]] bool is_lasting() const { return static_cast<bool>(identity); }
};

class Authenticator {
  public:
    /// Without a `watch` nothing is remembered for longer.
    Authenticator(store::WorkerPool& workers, ops::Log& log, std::function<Time()> now,
                  const IdentityWatch* watch);

    using OnIdentity = std::function<void(Result<Identity>)>;
    /// `done` is called once: at once when the answer is remembered, else on a worker's thread.
    void authenticate(const http::Request& request, Access::Kind kind, OnIdentity done);

    /// The same for whoever has shown that it had the key with this SHA-256.
    void authenticate_key(const std::string& key_hash, OnIdentity done);

    /// The SHA-256 (32 bytes) of the API key that the request names, if it has a key's form.
    [[nodiscard]] static std::optional<std::string> key_hash_of(const http::Request& request);
    /// What can be refused without a lookup: no key, or nothing that has the form of one.
    [[nodiscard]] static Status check_form(const http::Request& request, Access::Kind kind);

  private:
    using Cache = LookupCache<KnownIdentity>;
    void load_key(const std::string& hash, Cache::Done done);
    void load_certificate(const std::string& serial, Cache::Done done);
    Result<Identity> judge(const Cache::Found& found) const;

    store::WorkerPool& workers_;
    ops::Log& log_;
    std::function<Time()> now_;
    Cache keys_;
    Cache certificates_;
};

/// Whether the actor may use the route; scope_missing names the scopes that would do.
[[nodiscard]] Status check_access(const Access& access, const auth::Actor& actor);

}  // namespace fallow::api

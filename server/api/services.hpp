// What handlers reach besides their request: references, made by the composition root and outliving every
// exchange.
#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "api/forwarder.hpp"
#include "api/key_filter.hpp"
#include "api/stream_limits.hpp"
#include "auth/authority.hpp"
#include "auth/signing.hpp"
#include "auth/vault.hpp"
#include "engine/engine.hpp"
#include "engine/follower.hpp"
#include "engine/hub.hpp"
#include "engine/search_index.hpp"
#include "ops/config.hpp"
#include "ops/log.hpp"
#include "ops/metrics.hpp"
#include "store/worker_pool.hpp"

namespace fallow::api {

class HostCount;
class NetworkTests;
class TunnelDesk;

struct Services {
    engine::Engine& engine;
    engine::Follower& follower;
    Forwarder& forwarder;
    engine::Hub& hub;
    engine::SearchIndex& search;
    store::WorkerPool& workers;
    KeyFilter& key_filter;
    StreamLimits& stream_limits;
    const auth::CertificateAuthority& authority;
    const auth::SigningKey& signing_key;
    ops::Metrics& metrics;
    ops::Log& log;
    const ops::Config& config;
    const std::atomic<bool>& stopping;  ///< told to those who ask whether to send more here
    const std::atomic<bool>& draining;  ///< streams and long-polls end
    std::string version;
    std::string instance;  ///< names this run of this server among all there are
    std::string openapi_json;
    std::function<Time()> now;
    std::function<RawId()> random;
    TunnelDesk& tunnels;
    const auth::Vault& vault;  ///< of organizations' secrets
    NetworkTests& network_tests;
    const HostCount& hosts;

    /// The epoch under which the market is led, here or elsewhere, as the database has just confirmed it.
    [[nodiscard]] std::optional<std::int64_t> confirmed_epoch() const {
        if (const auto own = engine.confirmed_epoch()) return own;
        const auto leader = follower.leader();
        return leader ? std::optional(leader->epoch) : std::nullopt;
    }
    /// Whether requests of every kind are answered: commands here, or by a leader that is known.
    [[nodiscard]] bool is_ready() const {
        if (engine.accepts()) return engine.ready();
        const auto leader = follower.leader();
        return leader && !leader->is_self;
    }
};

}  // namespace fallow::api

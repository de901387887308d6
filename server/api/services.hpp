// What handlers reach besides their request: references, made by the composition root and outliving every
// exchange.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "api/key_filter.hpp"
#include "api/stream_limits.hpp"
#include "auth/authority.hpp"
#include "auth/signing.hpp"
#include "engine/engine.hpp"
#include "engine/hub.hpp"
#include "ops/config.hpp"
#include "ops/log.hpp"
#include "ops/metrics.hpp"
#include "store/worker_pool.hpp"

namespace fallow::api {

struct Services {
    engine::Engine& engine;
    engine::Hub& hub;
    store::WorkerPool& workers;
    KeyFilter& key_filter;
    StreamLimits& stream_limits;
    const auth::CertificateAuthority& authority;
    const auth::SigningKey& signing_key;
    ops::Metrics& metrics;
    ops::Log& log;
    const ops::Config& config;
    const std::atomic<bool>& draining;
    std::string version;
    std::string openapi_json;
    std::function<Time()> now;
    std::function<RawId()> random;
};

}  // namespace fallow::api

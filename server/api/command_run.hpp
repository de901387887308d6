// Runs a Command route: decode, look an old key up where it may exist, prepare, submit to the engine,
// answer after the commit.
#pragma once

#include <functional>
#include <optional>

#include "api/route.hpp"
#include "api/services.hpp"

namespace fallow::api {

void run_command(const ExchangePtr& exchange, Services& services);

/// On whose behalf an exchange's command comes. An admin key acts as one on the operator's routes alone.
[[nodiscard]] market::Caller caller_of(const Exchange& exchange);

}  // namespace fallow::api

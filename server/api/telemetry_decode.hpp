// The body with which a host tells what it has measured.
#pragma once

#include <string_view>
#include <vector>

#include "accounts/telemetry.hpp"
#include "base/result.hpp"

namespace fallow::api {

/// Without what the server knows by itself: lease, organizations, job. Limits of single values are checked
/// here, those of the whole by accounts::check_telemetry.
[[nodiscard]] Result<std::vector<accounts::CardTelemetry>> decode_telemetry(std::string_view body);

}  // namespace fallow::api

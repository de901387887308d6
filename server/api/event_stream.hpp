// Events as they are committed, as server-sent events.
#pragma once

#include <optional>

#include "api/events.hpp"
#include "api/route.hpp"

namespace fallow::api {

[[nodiscard]] Result<http::Reply> stream_events(const Call& call, std::optional<OrganizationId> audience,
                                                const JournalPosition& after);

}  // namespace fallow::api

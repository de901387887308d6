// Making API keys, for oneself and for another organization.
#pragma once

#include "api/route.hpp"

namespace fallow::api {

/// The key that the request's body asks for, with its secret; its scopes must be among `scopes_max`.
[[nodiscard]] Result<http::Reply> create_key(JobCall& call, OrganizationId organization,
                                             auth::ScopeSet scopes_max);

}  // namespace fallow::api

// Parts and completion of an artifact that the caller was found to be allowed to touch.
#pragma once

#include "api/route.hpp"

namespace fallow::api {

/// The body is the part whose number is the path's parameter "part".
[[nodiscard]] Result<http::Reply> put_part(JobCall& call, ArtifactId artifact);
[[nodiscard]] Result<http::Reply> get_part(JobCall& call, ArtifactId artifact);
[[nodiscard]] Result<http::Reply> complete_artifact(JobCall& call, ArtifactId artifact);

}  // namespace fallow::api

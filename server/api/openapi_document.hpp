// schema/openapi.yaml as JSON, written into the program when it was built.
#pragma once

#include <string>

namespace fallow::api {

[[nodiscard]] std::string openapi_document();

}  // namespace fallow::api

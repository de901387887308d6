#pragma once

#include <string_view>

namespace fallow::api {

inline constexpr std::string_view program_version = "0.1.0";

}  // namespace fallow::api

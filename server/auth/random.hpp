// Random bytes from the system's generator. Pure code is given what it needs of them.
#pragma once

#include <cstddef>
#include <string>

#include "base/ids.hpp"

namespace fallow::auth {

/// Throws when the generator fails: a weak secret is never handed out.
[[nodiscard]] std::string random_bytes(std::size_t count);

/// 128 random bits, for a new object or as the seed of an IdMint. Never nil.
[[nodiscard]] RawId random_id();

}  // namespace fallow::auth

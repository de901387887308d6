// Always-on assertions: for what a programmer did, never for what a caller can cause.
#pragma once

namespace fallow {

[[noreturn]] void assertion_failed(const char* expression, const char* file, int line);

}  // namespace fallow

#define FALLOW_ASSERT(expression) \
    ((expression) ? static_cast<void>(0) : ::fallow::assertion_failed(#expression, __FILE__, __LINE__))

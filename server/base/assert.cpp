#include "base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace fallow {

void assertion_failed(const char* expression, const char* file, int line) {
    std::fprintf(stderr, "fallow: assertion failed: %s at %s:%d\n", expression, file, line);
    std::abort();
}

}  // namespace fallow

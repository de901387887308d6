#include "auth/random.hpp"

#include <openssl/rand.h>

#include <cstring>

#include "auth/openssl.hpp"

namespace fallow::auth {

std::string random_bytes(std::size_t count) {
    std::string bytes(count, '\0');
    check_openssl(RAND_bytes(as_bytes(bytes), static_cast<int>(count)) == 1, "drawing random bytes");
    return bytes;
}

RawId random_id() {
    RawId id;
    while (id.is_nil()) {
        const std::string bytes = random_bytes(sizeof id.high + sizeof id.low);
        std::memcpy(&id.high, bytes.data(), sizeof id.high);
        std::memcpy(&id.low, bytes.data() + sizeof id.high, sizeof id.low);
    }
    return id;
}

}  // namespace fallow::auth

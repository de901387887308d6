// A sealed secret as auth/vault makes it and as accounts/ keeps it: neither of the two knows the other.
#pragma once

#include "accounts/secrets.hpp"
#include "auth/vault.hpp"

namespace fallow::api {

[[nodiscard]] inline auth::SealedSecret sealed_of(const accounts::SealedSecret& stored) {
    return {stored.key_id, stored.wrapped_key, stored.sealed};
}
[[nodiscard]] inline accounts::SealedSecret stored_of(const auth::SealedSecret& sealed) {
    return {sealed.key_id, sealed.wrapped_key, sealed.sealed};
}

}  // namespace fallow::api

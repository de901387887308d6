// Secrets that follow from a key, so that whoever shares the key shares them without another file.
#pragma once

#include <string>
#include <string_view>

#include "auth/signing.hpp"

namespace fallow::auth {

/// 32 bytes that only the key's holders can know, others for each label: HMAC-SHA256 of the label under the
/// raw private key.
[[nodiscard]] std::string derived_secret(const SigningKey& key, std::string_view label);

/// 32 bytes: HMAC-SHA256 of the text under a secret.
[[nodiscard]] std::string keyed_digest(std::string_view secret, std::string_view text);

}  // namespace fallow::auth

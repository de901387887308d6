// What a renter's secret says to an image's registry, as the engines want to be told it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fallow::agent {

/// The value of the header X-Registry-Auth (Docker Engine API, "Authentication": base64url of a JSON
/// object) for a secret that is one line USER:PASSWORD, {"username": …, "password": …} or {"identitytoken":
/// …}. Nothing for any other. It is as secret as the secret.
[[nodiscard]] std::optional<std::string> registry_auth(std::string_view secret, std::string_view registry);

/// Overwrites a text that must not stay in memory.
void wipe(std::string& text);

}  // namespace fallow::agent

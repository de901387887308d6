// A reply that shows a secret once must not lie readable in the database for 72 hours. It is stored sealed
// with AES-256-GCM under a key that is made of what only the caller has: its API key and its
// Idempotency-Key.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fallow::api {

[[nodiscard]] std::string seal_reply(std::string_view secret, std::string_view body);
/// Nothing when `secret` is another one, or the text was changed.
[[nodiscard]] std::optional<std::string> open_reply(std::string_view secret, std::string_view sealed);

}  // namespace fallow::api

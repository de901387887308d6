// Base64 (RFC 4648 section 4, with padding) and base64url (section 5, without).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fallow::auth {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
/// Strict: the standard alphabet, whole groups of four, padding only at the end, unused bits zero, no white
/// space. So every byte string has exactly one text.
[[nodiscard]] std::optional<std::string> base64_decode(std::string_view text);

[[nodiscard]] std::string base64url_encode(std::string_view bytes);
[[nodiscard]] bool is_base64url_digit(char c);

}  // namespace fallow::auth

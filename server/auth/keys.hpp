// API keys and enrolment tokens as text. The secret is shown once; the server keeps its SHA-256 and a
// visible prefix.
//
//   fallow_<43>_<6>          an API key
//   fallow_enroll_<43>_<6>   an enrolment token
//
// <43> is base64url of 32 random bytes. <6> is the upper 30 bits of the CRC-32 (ISO 3309, as in zlib) of
// everything before the last '_', in Crockford base32, so that a mistyped key and a key found by a secret
// scanner can be told from noise without a database.
#pragma once

#include <string>
#include <string_view>

namespace fallow::auth {

enum class SecretKind { api_key, enrollment_token };

/// `random` is 32 bytes; generate() draws them.
[[nodiscard]] std::string format_secret(SecretKind kind, std::string_view random);
[[nodiscard]] std::string generate_secret(SecretKind kind);

/// True when length, alphabet and checksum fit. Cheap: a refusal here costs no database query.
[[nodiscard]] bool check_form(SecretKind kind, std::string_view text);

/// What the database keeps instead of the secret: 32 raw bytes. The secret has 256 random bits, so a plain
/// hash is enough; there is nothing for a slow one to protect.
[[nodiscard]] std::string key_hash(std::string_view text);

/// The first 12 characters, by which people recognise a key in a list.
[[nodiscard]] std::string visible_prefix(std::string_view text);

}  // namespace fallow::auth

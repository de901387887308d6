#include "auth/keys.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "auth/base64.hpp"
#include "auth/random.hpp"
#include "auth/sha256.hpp"
#include "base/assert.hpp"

namespace fallow::auth {
namespace {

constexpr std::size_t random_bytes_per_secret = 32;
constexpr std::size_t body_digits = 43;
constexpr std::size_t checksum_digits = 6;
constexpr std::size_t visible_characters = 12;
constexpr std::string_view base32 = "0123456789abcdefghjkmnpqrstvwxyz";

std::string_view prefix_of(SecretKind kind) {
    return kind == SecretKind::api_key ? "fallow_" : "fallow_enroll_";
}

constexpr std::array<std::uint32_t, 256> crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ ((value & 1U) != 0 ? 0xedb88320U : 0U);
        table[i] = value;
    }
    return table;
}

std::uint32_t crc32(std::string_view text) {
    static constexpr auto table = crc_table();
    std::uint32_t value = 0xffffffffU;
    for (const char c : text)
        value = (value >> 8) ^ table[(value ^ static_cast<unsigned char>(c)) & 255U];
    return ~value;
}

std::string checksum(std::string_view text) {
    std::uint32_t bits = crc32(text) >> 2;
    std::string digits(checksum_digits, '0');
    for (std::size_t i = checksum_digits; i-- > 0; bits >>= 5)
        digits[i] = base32[bits & 31U];
    return digits;
}

}  // namespace

std::string format_secret(SecretKind kind, std::string_view random) {
    FALLOW_ASSERT(random.size() == random_bytes_per_secret);
    std::string text(prefix_of(kind));
    text += base64url_encode(random);
    const std::string check = checksum(text);
    return text + '_' + check;
}

std::string generate_secret(SecretKind kind) {
    return format_secret(kind, random_bytes(random_bytes_per_secret));
}

bool check_form(SecretKind kind, std::string_view text) {
    const std::string_view prefix = prefix_of(kind);
    const std::size_t covered = prefix.size() + body_digits;
    if (text.size() != covered + 1 + checksum_digits || !text.starts_with(prefix)) return false;
    const std::string_view body = text.substr(prefix.size(), body_digits);
    if (!std::all_of(body.begin(), body.end(), is_base64url_digit) || text[covered] != '_') return false;
    return text.substr(covered + 1) == checksum(text.substr(0, covered));
}

std::string key_hash(std::string_view text) {
    return sha256(text);
}

std::string visible_prefix(std::string_view text) {
    return std::string(text.substr(0, visible_characters));
}

}  // namespace fallow::auth

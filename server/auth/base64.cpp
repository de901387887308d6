#include "auth/base64.hpp"

#include <array>
#include <cstdint>

namespace fallow::auth {
namespace {

constexpr std::string_view standard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view url_safe = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::uint8_t no_digit = 255;

constexpr std::array<std::uint8_t, 256> values_of(std::string_view alphabet) {
    std::array<std::uint8_t, 256> values{};
    values.fill(no_digit);
    for (std::size_t i = 0; i < alphabet.size(); ++i)
        values[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
    return values;
}

constexpr auto standard_values = values_of(standard);
constexpr auto url_safe_values = values_of(url_safe);

std::string encode(std::string_view alphabet, std::string_view bytes, bool padded) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t count = bytes.size() - i < 3 ? bytes.size() - i : 3;
        std::uint32_t group = 0;
        for (std::size_t j = 0; j < 3; ++j)
            group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j) {
            if (j <= count)
                text.push_back(alphabet[group >> (18 - 6 * j) & 63U]);
            else if (padded)
                text.push_back('=');
        }
    }
    return text;
}

}  // namespace

std::string base64_encode(std::string_view bytes) {
    return encode(standard, bytes, true);
}
std::string base64url_encode(std::string_view bytes) {
    return encode(url_safe, bytes, false);
}

bool is_base64url_digit(char c) {
    return url_safe_values[static_cast<unsigned char>(c)] != no_digit;
}

std::optional<std::string> base64_decode(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    std::size_t padding = 0;
    while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=')
        ++padding;
    const std::string_view digits = text.substr(0, text.size() - padding);
    std::string bytes;
    bytes.reserve(text.size() / 4 * 3);
    std::uint32_t pending = 0;
    unsigned pending_bits = 0;
    for (const char c : digits) {
        const std::uint8_t value = standard_values[static_cast<unsigned char>(c)];
        if (value == no_digit) return std::nullopt;
        pending = (pending << 6 | value) & 0xffffU;
        pending_bits += 6;
        if (pending_bits >= 8) {
            pending_bits -= 8;
            bytes.push_back(static_cast<char>(pending >> pending_bits & 255U));
        }
    }
    if ((pending & ((1U << pending_bits) - 1U)) != 0) return std::nullopt;
    return bytes;
}

}  // namespace fallow::auth

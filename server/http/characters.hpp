// Character classes and case rules of RFC 9110, as constexpr tables; <cctype> depends on the locale.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace fallow::http {

using CharacterSet = std::array<bool, 256>;

constexpr CharacterSet make_alphanumeric_and(std::string_view others) {
    CharacterSet set{};
    for (std::size_t c = '0'; c <= '9'; ++c)
        set[c] = true;
    for (std::size_t c = 'A'; c <= 'Z'; ++c)
        set[c] = set[c - 'A' + 'a'] = true;
    for (const char c : others)
        set[static_cast<unsigned char>(c)] = true;
    return set;
}

/// RFC 9110, 5.6.2.
inline constexpr CharacterSet token_characters = make_alphanumeric_and("!#$%&'*+-.^_`|~");

constexpr bool is_in(const CharacterSet& set, char c) {
    return set[static_cast<unsigned char>(c)];
}

constexpr bool are_all_in(const CharacterSet& set, std::string_view text) {
    for (const char c : text)
        if (!is_in(set, c)) return false;
    return true;
}

constexpr bool is_token(std::string_view text) {
    return !text.empty() && are_all_in(token_characters, text);
}

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

constexpr char to_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

constexpr bool equals_ignoring_case(std::string_view text, std::string_view lower_case) {
    if (text.size() != lower_case.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (to_lower(text[i]) != lower_case[i]) return false;
    return true;
}

/// The value of a hexadecimal digit, or -1.
constexpr int hex_value(char c) {
    if (is_digit(c)) return c - '0';
    const char lower = to_lower(c);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Without the spaces and tabs at both ends (OWS, RFC 9110, 5.6.3).
constexpr std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t'))
        text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t'))
        text.remove_suffix(1);
    return text;
}

}  // namespace fallow::http

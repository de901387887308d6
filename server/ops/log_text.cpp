// What a line's values become before they are written: JSON strings without secrets.
#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "ops/log.hpp"

namespace fallow::ops {
namespace {

constexpr std::size_t secret_characters = 43;
constexpr std::string_view replacement = "[redacted]";
constexpr std::string_view key_mark = "fallow_";
constexpr std::string_view password_mark = "password=";
constexpr std::string_view url_mark = "://";

/// Length of the well-formed UTF-8 sequence (RFC 3629) at the start of `text`, or 0.
std::size_t sequence_length(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char first = byte(0);
    if (first < 0x80) return 1;
    if (first < 0xc2 || first > 0xf4) return 0;
    const std::size_t length = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (text.size() < length) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
    const bool surrogate = first == 0xed && byte(1) > 0x9f;
    const bool too_large = first == 0xf4 && byte(1) > 0x8f;
    return overlong || surrogate || too_large ? 0 : length;
}

bool is_secret_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

/// Where the secret at the start of `text` begins and ends; nothing when begin == end.
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
};

Span key_span(std::string_view text) {
    if (!text.starts_with(key_mark)) return {};
    std::size_t end = key_mark.size();
    while (end < text.size() && is_secret_character(text[end]))
        ++end;
    return end - key_mark.size() >= secret_characters ? Span{key_mark.size(), end} : Span{};
}

Span password_span(std::string_view text) {
    if (!text.starts_with(password_mark)) return {};
    const std::size_t end = text.find_first_of(" \t\r\n&", password_mark.size());
    return {password_mark.size(), std::min(end, text.size())};
}

/// The user information's password: "://user:password@".
Span url_span(std::string_view text) {
    if (!text.starts_with(url_mark)) return {};
    const std::string_view authority = text.substr(0, text.find_first_of("/?# \t\r\n", url_mark.size()));
    const std::size_t at = authority.rfind('@');
    const std::size_t colon = authority.find(':', url_mark.size());
    if (at == std::string_view::npos || colon == std::string_view::npos || colon >= at) return {};
    return {colon + 1, at};
}

/// What each kind of secret has in it: most texts have none, and need no look at each character.
bool may_hold_secret(std::string_view text) {
    constexpr auto npos = std::string_view::npos;
    return text.find(key_mark) != npos || text.find(password_mark) != npos || text.find(url_mark) != npos;
}

bool is_plain(char c) {
    return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x7f && c != '"' &&
           c != '\\';
}

}  // namespace

std::string redacted(std::string_view text) {
    if (!may_hold_secret(text)) return std::string(text);
    std::string clean;
    clean.reserve(text.size());
    while (!text.empty()) {
        Span span = key_span(text);
        if (span.begin == span.end) span = password_span(text);
        if (span.begin == span.end) span = url_span(text);
        if (span.begin == span.end) {
            clean.push_back(text.front());
            text.remove_prefix(1);
            continue;
        }
        clean.append(text.substr(0, span.begin)).append(replacement);
        text.remove_prefix(span.end);
    }
    return clean;
}

std::string json_string(std::string_view text) {
    std::string quoted = "\"";
    quoted.reserve(text.size() + 2);
    while (!text.empty()) {
        const auto end = std::find_if_not(text.begin(), text.end(), is_plain);
        quoted.append(text.begin(), end);
        text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
        if (text.empty()) break;
        const char c = text.front();
        const std::size_t length = sequence_length(text);
        if (length == 0) {
            quoted += "\\ufffd";
        } else if (c == '"' || c == '\\') {
            quoted += {'\\', c};
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            quoted += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            quoted += text.substr(0, length);
        }
        text.remove_prefix(std::max<std::size_t>(length, 1));
    }
    return quoted + '"';
}

}  // namespace fallow::ops

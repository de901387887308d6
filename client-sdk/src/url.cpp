#include "fallow/url.hpp"

namespace fallow::sdk {
namespace {

bool is_unreserved(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

}  // namespace

std::string percent_encode(std::string_view text) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string escaped;
    for (const char c : text) {
        if (is_unreserved(c)) {
            escaped.push_back(c);
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        escaped.push_back('%');
        escaped.push_back(digits[byte >> 4]);
        escaped.push_back(digits[byte & 15]);
    }
    return escaped;
}

std::string query_string(const std::vector<std::pair<std::string, std::string>>& pairs) {
    std::string text;
    for (const auto& [name, value] : pairs) {
        if (value.empty()) continue;
        text += text.empty() ? '?' : '&';
        text += percent_encode(name) + '=' + percent_encode(value);
    }
    return text;
}

}  // namespace fallow::sdk

// 128-bit integers for exact money sums, with text in both directions (std has neither).
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace fallow {

__extension__ typedef __int128 Int128;

[[nodiscard]] inline std::string to_decimal(Int128 value) {
    if (value == 0) return "0";
    const bool negative = value < 0;
    std::string text;
    while (value != 0) {
        const int digit = static_cast<int>(value % 10);
        text.push_back(static_cast<char>('0' + (negative ? -digit : digit)));
        value /= 10;
    }
    if (negative) text.push_back('-');
    std::reverse(text.begin(), text.end());
    return text;
}

/// Nothing unless `text` is an optional '-' and one to 38 digits.
[[nodiscard]] inline std::optional<Int128> parse_decimal(std::string_view text) {
    const bool negative = text.starts_with('-');
    if (negative) text.remove_prefix(1);
    if (text.empty() || text.size() > 38) return std::nullopt;
    Int128 value = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        value = value * 10 + (c - '0');
    }
    return negative ? -value : value;
}

}  // namespace fallow

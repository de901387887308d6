#include "text.hpp"

#include <charconv>

namespace fallow_proof {

std::string id_text(std::string_view prefix, std::string_view uuid) {
    constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
    std::vector<int> bits(2, 0);  // 128 bits make 26 digits of five when two zeros lead
    for (const char c : uuid) {
        if (c == '-') continue;
        const int nibble = c <= '9' ? c - '0' : c - 'a' + 10;
        for (int bit = 3; bit >= 0; --bit)
            bits.push_back((nibble >> bit) & 1);
    }
    std::string text(prefix);
    text.push_back('_');
    for (std::size_t at = 0; at + 5 <= bits.size(); at += 5) {
        std::size_t value = 0;
        for (std::size_t bit = 0; bit < 5; ++bit)
            value = value * 2 + static_cast<std::size_t>(bits[at + bit]);
        text.push_back(digits[value]);
    }
    return text;
}

std::string decimal(Wide value) {
    const bool negative = value < 0;
    std::string text;
    do {
        const int digit = static_cast<int>(value % 10);
        text.insert(text.begin(), static_cast<char>('0' + (digit < 0 ? -digit : digit)));
        value /= 10;
    } while (value != 0);
    return negative ? "-" + text : text;
}

std::string SignedText::one(const std::string& name) const {
    const auto found = fields.find(name);
    if (found == fields.end()) return "(missing)";
    return found->second.size() == 1 ? found->second.front() : "(repeated)";
}

std::optional<SignedText> parse_signed(std::string_view text) {
    if (!text.ends_with('\n')) return std::nullopt;
    SignedText result;
    bool first = true;
    while (!text.empty()) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(line.size() + 1);
        if (first) {
            result.head = line;
            first = false;
            continue;
        }
        const auto colon = line.find(": ");
        if (colon == std::string_view::npos) return std::nullopt;
        result.fields[std::string(line.substr(0, colon))].emplace_back(line.substr(colon + 2));
    }
    return result;
}

std::optional<std::int64_t> parse_count(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const bool whole = error == std::errc{} && end == text.data() + text.size() && value >= 0;
    if (!whole || (text.size() > 1 && text.front() == '0')) return std::nullopt;
    return value;
}

}  // namespace fallow_proof

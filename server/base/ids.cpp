#include "base/ids.hpp"

namespace fallow {
namespace {

constexpr std::string_view digits = "0123456789abcdefghjkmnpqrstvwxyz";
constexpr std::string_view hex = "0123456789abcdef";
constexpr std::size_t digits_per_id = 26;

int digit_value(std::string_view alphabet, char c) {
    const auto at = alphabet.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

/// The finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
std::uint64_t mix(std::uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

}  // namespace

std::string format_id(std::string_view prefix, const RawId& raw) {
    std::string text(prefix);
    text.push_back('_');
    const std::size_t start = text.size();
    text.resize(start + digits_per_id);
    std::uint64_t high = raw.high;
    std::uint64_t low = raw.low;
    for (std::size_t i = digits_per_id; i-- > 0;) {
        text[start + i] = digits[low & 31];
        low = (low >> 5) | (high << 59);
        high >>= 5;
    }
    return text;
}

std::optional<RawId> parse_id(std::string_view prefix, std::string_view text) {
    if (text.size() != prefix.size() + 1 + digits_per_id || !text.starts_with(prefix) ||
        text[prefix.size()] != '_')
        return std::nullopt;
    const std::string_view body = text.substr(prefix.size() + 1);
    if (digit_value(digits, body[0]) > 7) return std::nullopt;  // 26 digits hold 130 bits
    RawId raw;
    for (const char c : body) {
        const int value = digit_value(digits, c);
        if (value < 0) return std::nullopt;
        raw.high = (raw.high << 5) | (raw.low >> 59);
        raw.low = (raw.low << 5) | static_cast<std::uint64_t>(value);
    }
    return raw;
}

std::string format_uuid(const RawId& raw) {
    std::string text;
    text.reserve(36);
    for (int nibble = 0; nibble < 32; ++nibble) {
        if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) text.push_back('-');
        const std::uint64_t word = nibble < 16 ? raw.high : raw.low;
        text.push_back(hex[(word >> (60 - 4 * (nibble % 16))) & 15]);
    }
    return text;
}

std::optional<RawId> parse_uuid(std::string_view text) {
    if (text.size() != 36) return std::nullopt;
    RawId raw;
    int nibble = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i] != '-') return std::nullopt;
            continue;
        }
        const int value = digit_value(hex, text[i]);
        if (value < 0) return std::nullopt;
        std::uint64_t& word = nibble < 16 ? raw.high : raw.low;
        word = (word << 4) | static_cast<std::uint64_t>(value);
        ++nibble;
    }
    return raw;
}

RawId IdMint::next() {
    ++count_;
    const std::uint64_t golden = 0x9e3779b97f4a7c15ULL;
    RawId id{mix(seed_.high + count_ * golden), mix(seed_.low ^ mix(seed_.high + count_ * golden))};
    constexpr int random_bits = 16;
    if (now_) {
        const std::uint64_t random = id.high & ((std::uint64_t{1} << random_bits) - 1);
        id.high = (static_cast<std::uint64_t>(now_->ms) << random_bits) | random;
    }
    return id;
}

}  // namespace fallow

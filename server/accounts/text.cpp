#include "accounts/text.hpp"

#include <cstddef>
#include <cstdint>

namespace fallow::accounts {

namespace {

struct Lead {
    std::size_t length;      ///< of the whole sequence; 0 for a byte that cannot begin one
    std::uint32_t bits;      ///< the code point's, in the first byte
    std::uint32_t smallest;  ///< below it the form is overlong
};

Lead lead_of(unsigned char byte) {
    if (byte < 0x80) return {1, byte, 0};
    if (byte >= 0xc2 && byte <= 0xdf) return {2, byte & 0x1fU, 0x80};
    if (byte >= 0xe0 && byte <= 0xef) return {3, byte & 0x0fU, 0x800};
    if (byte >= 0xf0 && byte <= 0xf4) return {4, byte & 0x07U, 0x10000};
    return {0, 0, 0};
}

bool is_allowed(std::uint32_t point) {
    const bool control = point < 0x20 || (point >= 0x7f && point < 0xa0);
    const bool surrogate = point >= 0xd800 && point <= 0xdfff;
    return !control && !surrogate && point <= 0x10ffff;
}

}  // namespace

bool is_plain_text(std::string_view text) {
    while (!text.empty()) {
        const Lead lead = lead_of(static_cast<unsigned char>(text.front()));
        if (lead.length == 0 || text.size() < lead.length) return false;
        std::uint32_t point = lead.bits;
        for (std::size_t i = 1; i < lead.length; ++i) {
            const auto byte = static_cast<unsigned char>(text[i]);
            if ((byte & 0xc0U) != 0x80U) return false;
            point = (point << 6U) | (byte & 0x3fU);
        }
        if (point < lead.smallest || !is_allowed(point)) return false;
        text.remove_prefix(lead.length);
    }
    return true;
}

}  // namespace fallow::accounts

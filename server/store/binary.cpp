#include "store/binary.hpp"

#include <algorithm>
#include <array>

namespace fallow::store {

/// numeric: count of digits, weight of the first, sign, digits after the point, then the digits to base
/// 10,000, most significant first.
void append_binary(std::string& out, Int128 value) {
    constexpr std::int16_t negative_sign = 0x4000;
    constexpr int base = 10'000;
    const bool is_negative = value < 0;
    std::array<std::int16_t, 10> digits{};  // 2^127 has 39 decimal digits
    std::size_t count = 0;
    for (; value != 0; value /= base) {
        const auto digit = static_cast<std::int16_t>(value % base);
        digits[count++] = static_cast<std::int16_t>(is_negative ? -digit : digit);
    }
    append_big_endian(out, static_cast<std::int16_t>(count));
    append_big_endian(out, static_cast<std::int16_t>(count > 0 ? count - 1 : 0));
    append_big_endian(out, is_negative ? negative_sign : std::int16_t{0});
    append_big_endian(out, std::int16_t{0});
    while (count > 0)
        append_big_endian(out, digits[--count]);
}

}  // namespace fallow::store

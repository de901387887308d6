// What a field of the query language holds: its kind decides how its values are written, in which units,
// and what they can be compared by. Every value but a text is a 64-bit integer in its kind's base unit.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/enum.hpp"
#include "base/result.hpp"

namespace fallow::market::search {

/// Base units: bytes, bytes/s, FLOP/s, micros per hour, micros, milliseconds, milliseconds since
/// 1970. A version is
/// up to three numbers, packed so that they compare as versions do.
FALLOW_ENUM(Kind, text, boolean, number, bytes, bytes_per_s, flops, price, money, duration, version, time)

struct Unit {
    std::string_view name;
    std::int64_t size;  ///< in the base unit
};

/// The units of a kind, the largest first; empty where values have none.
[[nodiscard]] std::span<const Unit> units_of(Kind kind);
/// Whether a value must name its unit: 64 bytes of memory is hardly what somebody meant by 64.
[[nodiscard]] bool needs_unit(Kind kind);
/// Whether <, <=, >, >= and between apply.
[[nodiscard]] constexpr bool is_ordered(Kind kind) {
    return kind != Kind::text && kind != Kind::boolean;
}
/// "a size", for messages.
[[nodiscard]] std::string_view noun_of(Kind kind);
/// "a size like 80GiB", for messages and the reference.
[[nodiscard]] std::string_view example_of(Kind kind);

/// A value as it is written, of any kind but text. invalid_field with a sentence when it is none, without a
/// pointer. What is smaller than the base unit is cut off.
[[nodiscard]] Result<std::int64_t> read_value(Kind kind, std::string_view text);
/// The shortest text that read_value reads as exactly this.
[[nodiscard]] std::string write_value(Kind kind, std::int64_t value);

/// "550.54.14" as one number; nothing when a part is missing or no number below 2^20. What follows the
/// third part is left out.
[[nodiscard]] std::optional<std::int64_t> pack_version(std::string_view text);

/// The name that is fewest edits away, if it is near enough to be meant. Letters' case does not count.
[[nodiscard]] std::optional<std::string_view> nearest(std::string_view name,
                                                      std::span<const std::string_view> known);

[[nodiscard]] std::string lower(std::string_view text);

}  // namespace fallow::market::search

// Amounts, spans and sizes as people write and read them. Exact: no floating point anywhere.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::sdk {

/// "2.50", "$0.000001", "12" in USD, as micros. Nothing for a sign, an exponent, a seventh decimal or an
/// overflow.
[[nodiscard]] std::optional<std::int64_t> parse_usd(std::string_view text);
/// "$2.50"; more decimals only where they are not zero ("$0.000125"), "-$1.00".
[[nodiscard]] std::string format_usd(std::int64_t micros);

/// "90s", "2h", "1h30m", "250ms", "7d" in milliseconds. Every number needs its unit; units go from large to
/// small, each at most once.
[[nodiscard]] std::optional<std::int64_t> parse_duration(std::string_view text);
/// "1h 30m", "12.345s", "0s": exact, in the form parse_duration reads but for the spaces and the fraction.
[[nodiscard]] std::string format_duration(std::int64_t duration_ms);

/// "80GiB", "512MiB", "1.5TiB", "2GB" (decimal), "1024" (bytes), in bytes. A fraction must make whole
/// bytes.
[[nodiscard]] std::optional<std::int64_t> parse_size(std::string_view text);
/// In GiB with up to two decimals ("80 GiB", "1.5 GiB"); below 1 GiB in MiB, KiB or B.
[[nodiscard]] std::string format_size(std::int64_t bytes);

/// "2.5" as thousandths of the unit: cores to cpu_millis, a part of a card.
[[nodiscard]] std::optional<std::int64_t> parse_thousandths(std::string_view text);
[[nodiscard]] std::string format_thousandths(std::int64_t thousandths);
/// "2.5" per cent as parts per million.
[[nodiscard]] std::optional<std::int64_t> parse_percent_ppm(std::string_view text);
[[nodiscard]] std::string format_ppm(std::int64_t ppm);

}  // namespace fallow::sdk

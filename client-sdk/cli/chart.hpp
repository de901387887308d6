// Numbers as a line of block characters, for a terminal.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::cli {

/// One block a value, from the lowest of eight at `low` to the highest at `high`; a space where there is no
/// value. All of one height is half high.
[[nodiscard]] std::string bars(const std::vector<std::optional<std::int64_t>>& values, std::int64_t low,
                               std::int64_t high);

/// As many values as `columns` at most: each the mean of those that fall together, where there are any.
[[nodiscard]] std::vector<std::optional<std::int64_t>> squeezed(
    const std::vector<std::optional<std::int64_t>>& values, std::size_t columns);

/// Since 1970, of a time as the server writes it: "2026-01-02T03:04:05.678Z".
[[nodiscard]] std::int64_t seconds_of(const std::string& time);

}  // namespace fallow::cli

#include "chart.hpp"

#include <algorithm>
#include <array>

namespace fallow::cli {
namespace {

constexpr std::array<const char*, 8> blocks{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};

}  // namespace

std::string bars(const std::vector<std::optional<std::int64_t>>& values, std::int64_t low,
                 std::int64_t high) {
    constexpr std::int64_t top = blocks.size() - 1;
    __extension__ typedef __int128 Wide;
    std::string line;
    for (const auto& value : values) {
        if (!value) {
            line += ' ';
            continue;
        }
        const Wide span = Wide(high) - low;
        const Wide step = span == 0 ? top / 2 : (Wide(*value) - low) * top / span;
        line += blocks.at(static_cast<std::size_t>(std::clamp<Wide>(step, 0, top)));
    }
    return line;
}

std::vector<std::optional<std::int64_t>> squeezed(const std::vector<std::optional<std::int64_t>>& values,
                                                  std::size_t columns) {
    if (values.size() <= columns) return values;
    std::vector<std::optional<std::int64_t>> result(columns);
    for (std::size_t column = 0; column < columns; ++column) {
        std::int64_t sum = 0;
        std::int64_t count = 0;
        for (std::size_t i = column * values.size() / columns; i < (column + 1) * values.size() / columns;
             ++i) {
            if (!values[i]) continue;
            sum += *values[i];
            ++count;
        }
        if (count > 0) result[column] = sum / count;
    }
    return result;
}

}  // namespace fallow::cli

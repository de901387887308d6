#include "chart.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

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

std::int64_t seconds_of(const std::string& time) {
    const auto number = [&](std::size_t at, std::size_t size) {
        int value = 0;
        if (time.size() >= at + size) std::from_chars(time.data() + at, time.data() + at + size, value);
        return value;
    };
    const std::chrono::year_month_day day{std::chrono::year(number(0, 4)),
                                          std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                          std::chrono::day(static_cast<unsigned>(number(8, 2)))};
    const auto days = std::chrono::sys_days(day).time_since_epoch().count();
    return days * 86'400LL + number(11, 2) * 3600 + number(14, 2) * 60 + number(17, 2);
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

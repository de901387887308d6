#include "api/clock_text.hpp"

#include <chrono>

namespace fallow::api {
namespace {

/// Takes `count` digits from the front of `text`; -1 when they are not there.
int take_digits(std::string_view& text, std::size_t count) {
    if (text.size() < count) return -1;
    int value = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (text[i] < '0' || text[i] > '9') return -1;
        value = value * 10 + (text[i] - '0');
    }
    text.remove_prefix(count);
    return value;
}

bool take(std::string_view& text, std::string_view any_of) {
    if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
    text.remove_prefix(1);
    return true;
}

/// The fraction of a second in milliseconds, or -1.
int take_fraction(std::string_view& text) {
    if (!take(text, ".")) return 0;
    int milliseconds = 0;
    std::size_t digits = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
        if (digits < 3) milliseconds = milliseconds * 10 + (text.front() - '0');
        ++digits;
        text.remove_prefix(1);
    }
    if (digits == 0 || digits > 9) return -1;
    for (std::size_t i = digits; i < 3; ++i)
        milliseconds *= 10;
    return milliseconds;
}

/// The offset from UTC in minutes; the whole of `text` must be one.
std::optional<int> read_offset(std::string_view text) {
    if (text == "Z" || text == "z") return 0;
    const bool negative = text.starts_with('-');
    if (!take(text, "+-")) return std::nullopt;
    const int hour = take_digits(text, 2);
    if (hour < 0 || hour > 23 || !take(text, ":")) return std::nullopt;
    const int minute = take_digits(text, 2);
    if (minute < 0 || minute > 59 || !text.empty()) return std::nullopt;
    return (negative ? -1 : 1) * (hour * 60 + minute);
}

}  // namespace

std::optional<Time> parse_rfc3339(std::string_view text) {
    const int year = take_digits(text, 4);
    if (year < 1970 || !take(text, "-")) return std::nullopt;
    const int month = take_digits(text, 2);
    if (month < 1 || !take(text, "-")) return std::nullopt;
    const int day = take_digits(text, 2);
    if (day < 1 || !take(text, "Tt")) return std::nullopt;
    const int hour = take_digits(text, 2);
    if (hour < 0 || hour > 23 || !take(text, ":")) return std::nullopt;
    const int minute = take_digits(text, 2);
    if (minute < 0 || minute > 59 || !take(text, ":")) return std::nullopt;
    const int second = take_digits(text, 2);
    if (second < 0 || second > 59) return std::nullopt;
    const int fraction_ms = take_fraction(text);
    const auto offset = read_offset(text);
    if (fraction_ms < 0 || !offset) return std::nullopt;

    const std::chrono::year_month_day date{std::chrono::year(year),
                                           std::chrono::month(static_cast<unsigned>(month)),
                                           std::chrono::day(static_cast<unsigned>(day))};
    if (!date.ok()) return std::nullopt;
    const std::int64_t day_count = std::chrono::sys_days(date).time_since_epoch().count();
    const std::int64_t minutes_total = (day_count * 24 + hour) * 60 + minute - *offset;
    const Time time((minutes_total * 60 + second) * 1000 + fraction_ms);
    return time.ms >= 0 ? std::optional(time) : std::nullopt;
}

}  // namespace fallow::api

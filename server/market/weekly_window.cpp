#include "market/weekly_window.hpp"

#include <algorithm>
#include <array>

#include "base/assert.hpp"

namespace fallow::market {
namespace {

constexpr std::array<std::string_view, 7> day_names{"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr std::int32_t day_minutes = 24 * 60;
constexpr std::int64_t week_ms = days(7).count;
/// 1970-01-01 was a Thursday.
constexpr std::int64_t epoch_in_week_ms = days(3).count;

std::int64_t within_week(std::int64_t ms) {
    return (ms % week_ms + week_ms) % week_ms;
}

/// Two digits below `bound`.
std::optional<std::int32_t> two_digits(std::string_view text, std::int32_t bound) {
    if (text[0] < '0' || text[0] > '9' || text[1] < '0' || text[1] > '9') return std::nullopt;
    const std::int32_t value = (text[0] - '0') * 10 + (text[1] - '0');
    return value < bound ? std::optional(value) : std::nullopt;
}

/// "fri 18:00"
std::optional<std::int32_t> parse_moment(std::string_view text) {
    if (text.size() != 9 || text[3] != ' ' || text[6] != ':') return std::nullopt;
    const auto day = std::find(day_names.begin(), day_names.end(), text.substr(0, 3));
    const auto hour = two_digits(text.substr(4, 2), 24);
    const auto minute = two_digits(text.substr(7, 2), 60);
    if (day == day_names.end() || !hour || !minute) return std::nullopt;
    return static_cast<std::int32_t>(day - day_names.begin()) * day_minutes + *hour * 60 + *minute;
}

std::int64_t length_of(const WeeklyWindow& window) {
    const std::int64_t length = within_week(minutes(window.until - window.from).count);
    return length == 0 ? week_ms : length;
}

/// What is left of a window at a place in the week: nothing outside of it.
std::int64_t left_of(const WeeklyWindow& window, std::int64_t place_ms) {
    const std::int64_t gone = within_week(place_ms - minutes(window.from).count);
    return std::max<std::int64_t>(length_of(window) - gone, 0);
}

std::int64_t place_of(std::int32_t utc_offset_minutes, Time at) {
    return at.ms + minutes(utc_offset_minutes).count + epoch_in_week_ms;
}

WeeklyWindow parsed(const std::string& text) {
    const auto window = parse_weekly_window(text);
    FALLOW_ASSERT(window.has_value());
    return *window;
}

}  // namespace

std::optional<WeeklyWindow> parse_weekly_window(std::string_view text) {
    if (text.size() != 19 || text[9] != '-') return std::nullopt;
    const auto from = parse_moment(text.substr(0, 9));
    const auto until = parse_moment(text.substr(10));
    if (!from || !until) return std::nullopt;
    return WeeklyWindow{*from, *until};
}

Millis open_for(const std::vector<std::string>& windows, std::int32_t utc_offset_minutes, Time at) {
    const std::int64_t start = place_of(utc_offset_minutes, at);
    std::int64_t open = 0;
    while (open < week_ms) {
        std::int64_t further = 0;
        for (const std::string& text : windows)
            further = std::max(further, left_of(parsed(text), within_week(start + open)));
        if (further == 0) break;
        open += further;
    }
    return Millis(std::min(open, week_ms));
}

bool is_open(const std::vector<WeeklyWindow>& windows, std::int32_t utc_offset_minutes, Time at) {
    const std::int64_t place = within_week(place_of(utc_offset_minutes, at));
    return std::any_of(windows.begin(), windows.end(),
                       [&](const WeeklyWindow& window) { return left_of(window, place) > 0; });
}

Millis open_per_week(const std::vector<std::string>& windows) {
    if (windows.empty()) return Millis(week_ms);
    std::vector<std::pair<std::int64_t, std::int64_t>> spans;  ///< one over the end of the week is two
    for (const std::string& text : windows) {
        const WeeklyWindow window = parsed(text);
        const std::int64_t from = minutes(window.from).count;
        const std::int64_t until = from + length_of(window);
        spans.emplace_back(from, std::min(until, week_ms));
        if (until > week_ms) spans.emplace_back(0, until - week_ms);
    }
    std::sort(spans.begin(), spans.end());
    std::int64_t covered = 0;
    std::int64_t reached = 0;
    for (const auto& [from, until] : spans) {
        covered += std::max<std::int64_t>(until - std::max(from, reached), 0);
        reached = std::max(reached, until);
    }
    return Millis(covered);
}

}  // namespace fallow::market

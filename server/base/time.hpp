// Time as a value. Only the composition root reads a clock; everything else is given a Time.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace fallow {

/// A span of time in whole milliseconds.
struct Millis {
    std::int64_t count = 0;

    constexpr Millis() = default;
    constexpr explicit Millis(std::int64_t milliseconds) : count(milliseconds) {}
    friend constexpr auto operator<=>(const Millis&, const Millis&) = default;
    friend constexpr Millis operator+(Millis a, Millis b) { return Millis(a.count + b.count); }
    friend constexpr Millis operator-(Millis a, Millis b) { return Millis(a.count - b.count); }
};

constexpr Millis seconds(std::int64_t n) {
    return Millis(n * 1000);
}
constexpr Millis minutes(std::int64_t n) {
    return seconds(n * 60);
}
constexpr Millis hours(std::int64_t n) {
    return minutes(n * 60);
}
constexpr Millis days(std::int64_t n) {
    return hours(n * 24);
}

/// A moment: milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted.
struct Time {
    std::int64_t ms = 0;

    constexpr Time() = default;
    constexpr explicit Time(std::int64_t milliseconds) : ms(milliseconds) {}
    friend constexpr auto operator<=>(const Time&, const Time&) = default;
    friend constexpr Time operator+(Time t, Millis d) { return Time(t.ms + d.count); }
    friend constexpr Time operator-(Time t, Millis d) { return Time(t.ms - d.count); }
    friend constexpr Millis operator-(Time a, Time b) { return Millis(a.ms - b.ms); }
};

/// RFC 3339 in UTC with milliseconds: "2026-01-02T03:04:05.678Z".
[[nodiscard]] std::string to_rfc3339(Time time);

}  // namespace fallow

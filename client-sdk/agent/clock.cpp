#include "agent/clock.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

namespace fallow::agent {
namespace {

/// The number in text[at, at + length), or -1.
std::int64_t digits_at(std::string_view text, std::size_t at, std::size_t length) {
    if (at + length > text.size()) return -1;
    std::int64_t value = 0;
    for (const char c : text.substr(at, length)) {
        if (c < '0' || c > '9') return -1;
        value = value * 10 + (c - '0');
    }
    return value;
}

/// ".123456789" to 123; an empty text to 0; -1 for anything else.
std::int64_t fraction_ms(std::string_view text) {
    if (text.empty()) return 0;
    if (text.front() != '.' || text.size() < 2 || text.size() > 10) return -1;
    std::string padded(text.substr(1));
    padded.resize(std::max<std::size_t>(padded.size(), 3), '0');
    return digits_at(padded, 0, padded.size()) < 0 ? -1 : digits_at(padded, 0, 3);
}

}  // namespace

std::int64_t wall_clock_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
    using namespace std::chrono;
    if (text.size() < 20 || text.back() != 'Z' || text[4] != '-' || text[7] != '-' || text[10] != 'T' ||
        text[13] != ':' || text[16] != ':')
        return std::nullopt;
    const auto number = [&](std::size_t at, std::size_t length) { return digits_at(text, at, length); };
    const std::int64_t hour = number(11, 2);
    const std::int64_t minute = number(14, 2);
    const std::int64_t second = number(17, 2);
    const std::int64_t millis = fraction_ms(text.substr(19, text.size() - 20));
    const std::int64_t y = number(0, 4);
    const std::int64_t m = number(5, 2);
    const std::int64_t d = number(8, 2);
    if (y < 0 || m < 0 || d < 0 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
        second > 60 || millis < 0)
        return std::nullopt;
    const year_month_day date{year(static_cast<int>(y)), month(static_cast<unsigned>(m)),
                              day(static_cast<unsigned>(d))};
    if (!date.ok()) return std::nullopt;
    const std::int64_t days_since_1970 = sys_days(date).time_since_epoch().count();
    return ((days_since_1970 * 24 + hour) * 60 + minute) * 60'000 + second * 1000 + millis;
}

std::string format_rfc3339(std::int64_t unix_ms) {
    using namespace std::chrono;
    const sys_time<milliseconds> moment{milliseconds{unix_ms}};
    const auto date_part = floor<days>(moment);
    const year_month_day date{date_part};
    const hh_mm_ss<milliseconds> time{moment - date_part};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time.hours().count(), time.minutes().count(), time.seconds().count(),
                       time.subseconds().count());
}

void pause_for(std::int64_t ms, const std::stop_token& stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock lock(mutex);
    never.wait_for(lock, stop, std::chrono::milliseconds(ms), [] { return false; });
}

}  // namespace fallow::agent

// Hours of every week in which a seller's cards are there, like "fri 18:00-mon 08:00". Pure arithmetic on a
// fixed offset from UTC: a zone that changes its clocks needs another offset twice a year.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.hpp"

namespace fallow::market {

/// Minutes since Monday 00:00; one that ends where or before it begins goes over the end of the week.
struct WeeklyWindow {
    std::int32_t from = 0;
    std::int32_t until = 0;
    friend constexpr bool operator==(const WeeklyWindow&, const WeeklyWindow&) = default;
};

/// "mon 09:00-mon 17:30", "sat 00:00-mon 00:00"; "tue 00:00-tue 00:00" is the whole week.
[[nodiscard]] std::optional<WeeklyWindow> parse_weekly_window(std::string_view text);

/// How long windows stay open from `at` on, those that touch or overlap taken together: nothing when none
/// is open then, and exactly a week when they leave no gap. `windows` are texts that can be parsed.
[[nodiscard]] Millis open_for(const std::vector<std::string>& windows, std::int32_t utc_offset_minutes,
                              Time at);

/// Whether any of the windows is open at `at`.
[[nodiscard]] bool is_open(const std::vector<WeeklyWindow>& windows, std::int32_t utc_offset_minutes,
                           Time at);

/// How much of every week windows cover together; all of it when there are none.
[[nodiscard]] Millis open_per_week(const std::vector<std::string>& windows);

}  // namespace fallow::market

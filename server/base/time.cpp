#include "base/time.hpp"

#include <fmt/format.h>

#include <chrono>

namespace fallow {

std::string to_rfc3339(Time time) {
    using namespace std::chrono;
    const sys_time<milliseconds> moment{milliseconds{time.ms}};
    const auto day = floor<std::chrono::days>(moment);
    const year_month_day date{day};
    const hh_mm_ss<milliseconds> clock{moment - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

}  // namespace fallow

// Whether a container that has ended is started again, and when.
#include "agent/restart_policy.hpp"

#include <catch2/catch.hpp>
#include <functional>

using namespace fallow::agent;

namespace {

constexpr std::int64_t never = -1;

/// A job that is started again after 75 and 137, three times, has just ended with 75.
struct Ended {
    LeaseRecord record;
    ContainerExit exit{75, false, false};

    Ended() {
        record.desired.run = true;
        record.desired.spec = JobSpec{};
        record.desired.spec->restart = RestartSpec{{75, 137}, 3, 1000};
        record.started = true;
    }
    RestartSpec& spec() { return *record.desired.spec->restart; }
};

struct Row {
    const char* situation;
    std::function<void(Ended&)> change;
    std::int64_t delay_ms;
};

const Row rows[] = {
    {"a code that is named", [](Ended&) {}, 1000},
    {"a code that is not", [](Ended& e) { e.exit.exit_code = 1; }, never},
    {"it has done its work",
     [](Ended& e) {
         e.exit.exit_code = 0;
         e.spec().exit_codes.clear();
     },
     never},
    {"any failure",
     [](Ended& e) {
         e.exit.exit_code = 1;
         e.spec().exit_codes.clear();
     },
     1000},
    {"out of memory is no failure of that kind",
     [](Ended& e) {
         e.exit = {137, true, false};
         e.spec().exit_codes.clear();
     },
     never},
    {"out of memory, whose code is named",
     [](Ended& e) {
         e.exit = {137, true, false};
     },
     1000},
    {"out of memory, with another code that is named",
     [](Ended& e) {
         e.exit = {75, true, false};
     },
     1000},

    {"the second time", [](Ended& e) { e.record.restarts = 1; }, 2000},
    {"the last time", [](Ended& e) { e.record.restarts = 2; }, 4000},
    {"all are used up", [](Ended& e) { e.record.restarts = 3; }, never},
    {"the delay has a bound",
     [](Ended& e) {
         e.spec() = {{75}, 100, 1000};
         e.record.restarts = 99;
     },
     restart_delay_ms_max},
    {"the delay is the bound from the start",
     [](Ended& e) {
         e.spec().delay_ms = restart_delay_ms_max;
         e.record.restarts = 2;
     },
     restart_delay_ms_max},

    {"the job asks for none", [](Ended& e) { e.record.desired.spec->restart.reset(); }, never},
    {"the server wants it to stop", [](Ended& e) { e.record.desired.run = false; }, never},
    {"the server, which names no job any more",
     [](Ended& e) {
         e.record.desired.run = false;
         e.record.desired.spec.reset();
     },
     never},
    {"the owner takes a card", [](Ended& e) { e.record.reclaim_until_boot_ms = 1; }, never},
    {"it was told to stop", [](Ended& e) { e.record.stop_cause = StopCause::wanted; }, never},
    {"it was told, and had ended by then", [](Ended& e) { e.record.terminated_boot_ms = 1; }, never},
    {"it ran for too long", [](Ended& e) { e.record.stop_cause = StopCause::duration; }, never},
    {"it was killed", [](Ended& e) { e.record.kill_sent = true; }, never},
    {"it was about to be ended as it had asked", [](Ended& e) { e.record.own_stop = StopCause::unhealthy; },
     never},
};

}  // namespace

TEST_CASE("a container that has ended is started again, or the lease ends with it") {
    for (const Row& row : rows) {
        INFO(row.situation);
        Ended ended;
        row.change(ended);
        CHECK(restart_delay_ms(ended.record, ended.exit).value_or(never) == row.delay_ms);
    }
}

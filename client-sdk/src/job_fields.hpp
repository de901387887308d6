// What jobs have within them, as renter_json.cpp reads and writes it.
#pragma once

#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<HealthSpec> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("command", value.command);
        visit("interval_ms", value.interval_ms);
        visit("timeout_ms", value.timeout_ms);
        visit("start_period_ms", value.start_period_ms);
        visit("retries", value.retries);
    }
};

template <>
struct Fields<IdleSpec> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("below_percent", value.below_percent);
        visit("for_ms", value.for_ms);
    }
};

template <>
struct Fields<JobProgress> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("step", value.step);
        visit("done_bytes", value.done_bytes);
        visit("total_bytes", value.total_bytes);
        visit("at", value.at);
    }
};

}  // namespace fallow::sdk

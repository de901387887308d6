// What jobs have within them, and what a job and its specification have in common.
#pragma once

#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<JobInput> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("path", value.path);
        visit("artifact_id", value.artifact_id);
    }
};

template <>
struct Fields<CheckpointSpec> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("path", value.path);
        visit("interval_ms", value.interval_ms);
        visit("bytes_max", value.bytes_max);
    }
};

/// What JobSpec and Job have in common beyond their first fields.
template <class Visit, class T>
void visit_terms(const Visit& visit, T& value) {
    visit("secrets", value.secrets);
    visit("output_interval_ms", value.output_interval_ms);
    visit("shm_bytes", value.shm_bytes);
    visit("pull_timeout_ms", value.pull_timeout_ms);
    visit("start_timeout_ms", value.start_timeout_ms);
    visit("retry_exit_codes", value.retry_exit_codes);
    visit("health", value.health);
    visit("idle", value.idle);
    visit("registry_secret", value.registry_secret);
    visit("network", value.network);
    visit("restart", value.restart);
}

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
struct Fields<RestartSpec> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("exit_codes", value.exit_codes);
        visit("restarts_max", value.restarts_max);
        visit("delay_ms", value.delay_ms);
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

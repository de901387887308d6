// The half of LeaseTask that talks to the server. A refusal that no repetition can change counts as heard:
// the server knows better what became of the lease, and says so through the desired state.
#include <spdlog/spdlog.h>

#include <algorithm>

#include "agent/clock.hpp"
#include "agent/lease_task.hpp"
#include "agent/usage.hpp"

namespace fallow::agent {

void LeaseTask::report(const char* phase, const Change& acknowledged) {
    const LeaseRecord r = record();
    Report report;
    report.lease_epoch = r.desired.lease_epoch;
    report.phase = phase;
    report.container_id = r.container_id;
    report.boot_id = r.boot_id;
    report.restarts = r.restarts;
    if (report.phase == "exited") report.exit = r.exit;
    report.stop_cause = r.stop_cause;
    if (report.phase == "failed") report.failure = r.failure;
    std::string nonce;
    try {
        nonce = server_.report(r.desired.lease_id, report);
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        spdlog::warn("the report {} of lease {} was refused: {}", phase, r.desired.lease_id, error.what());
    }
    spdlog::debug("{} is heard to be {}", r.desired.lease_id, phase);
    change([&](LeaseRecord& changed) {
        if (!nonce.empty()) changed.nonce = nonce;
        acknowledged(changed);
    });
}

void LeaseTask::say(const char* phase, bool LeaseRecord::*reported) {
    report(phase, [=](LeaseRecord& r) { r.*reported = true; });
}

void LeaseTask::report_accepted() {
    // Here a refusal is not the end: the lease may still wait for its job, or be stopped in a moment.
    const LeaseRecord r = record();
    Report report;
    report.lease_epoch = r.desired.lease_epoch;
    report.phase = "accepted";
    const std::string nonce = server_.report(r.desired.lease_id, report);
    spdlog::debug("{} is heard to be {}", r.desired.lease_id, report.phase);
    change([&](LeaseRecord& changed) {
        if (!nonce.empty()) changed.nonce = nonce;
        changed.accepted = true;
    });
}

void LeaseTask::report_running() {
    // It may be started again meanwhile.
    report("running", [restarts = record().restarts](LeaseRecord& r) {
        r.running_reported = true;
        r.restarts_reported = restarts;
    });
}

void LeaseTask::report_reclaimed() {
    const LeaseRecord r = record();
    Report report;
    report.lease_epoch = r.desired.lease_epoch;
    report.phase = "reclaimed";
    report.notice_ms = std::max<std::int64_t>(0, *r.reclaim_until_boot_ms - boot_clock_ms());
    try {
        server_.report(r.desired.lease_id, report);
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        spdlog::warn("that lease {} is taken back was refused: {}", r.desired.lease_id, error.what());
    }
    change([](LeaseRecord& changed) { changed.reclaim_reported = true; });
}

void LeaseTask::report_gone() {
    // Repeated until it is heard: the server frees the cards on this word alone.
    const LeaseRecord r = record();
    Report report;
    report.lease_epoch = r.desired.lease_epoch;
    report.phase = "gone";
    try {
        server_.report(r.desired.lease_id, report);
    } catch (const ServerError& error) {
        if (error.status() != 404) throw;  // it has forgotten the lease
    }
    change([](LeaseRecord& changed) { changed.gone_reported = true; });
}

void LeaseTask::read_nonce() {
    const std::string lease_id = record().desired.lease_id;
    const Desired desired = server_.desired("", 0, context_.server_unix_ms() - boot_clock_ms(), {});
    for (const DesiredLease& lease : desired.leases) {
        if (lease.lease_id != lease_id) continue;
        change([&](LeaseRecord& r) {
            r.nonce = lease.nonce;
            r.usage_sequence = lease.usage_sequence;
        });
    }
}

void LeaseTask::state_usage(bool is_final) {
    // Read first: should this process stand still from here on, it is the guard that knows until when the
    // container ran.
    const std::int64_t now = boot_clock_ms();
    if (!is_final) ask_guard();
    const GuestTraffic traffic = look_at_traffic();
    // On disk before it is sent: what was stated once is never undercut, even if the reply is lost.
    const LeaseRecord r = change([&](LeaseRecord& changed) {
        changed.stated_ms = std::max(changed.stated_ms, changed.meter.read(now));
        changed.usage_stated_boot_ms = now;
        changed.egress_bytes = std::max(changed.egress_bytes, traffic.sent_bytes);
    });
    const std::string statement = usage_statement(r, r.stated_ms, is_final);
    try {
        const UsageReply reply =
            server_.state_usage(r.desired.lease_id, statement, context_.signing_key.sign_base64(statement));
        change([&](LeaseRecord& changed) {
            changed.nonce = reply.nonce;
            changed.usage_sequence = reply.sequence;
            if (reply.paid_until_unix_ms)
                changed.paid_until_boot_ms =
                    boot_clock_ms() + *reply.paid_until_unix_ms - context_.server_unix_ms();
            if (is_final) changed.final_usage_stated = true;
        });
    } catch (const ServerError& error) {
        if (error.code() == "nonce_mismatch" || error.code() == "usage_not_monotone") {
            // A reply was lost: the server has the statement before this one already.
            read_nonce();
            throw;
        }
        if (!error.is_final()) throw;
        spdlog::warn("a usage statement of lease {} was refused: {}", r.desired.lease_id, error.what());
        if (is_final) change([](LeaseRecord& changed) { changed.final_usage_stated = true; });
    }
}

}  // namespace fallow::agent

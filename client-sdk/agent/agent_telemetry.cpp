// The part of Agent that has its leases measured, and their progress told.
#include <memory>
#include <utility>

#include "agent/agent.hpp"
#include "agent/clock.hpp"
#include "agent/progress_reporter.hpp"
#include "agent/telemetry.hpp"

namespace fallow::agent {
namespace {

/// Reported as running, so that the server takes what is told of it.
bool is_measured(const LeaseRecord& record) {
    return record.started && record.running_reported && !record.exit && !record.failure &&
           !record.removed && record.paused_boot_ms == 0 && !record.container_id.empty();
}

}  // namespace

std::vector<MeasuredLease> Agent::running_leases(const Runtime& runtime) {
    std::vector<LeaseRecord> records;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, task] : tasks_)
            records.push_back(task->seen().record);
    }
    std::vector<MeasuredLease> running;
    for (LeaseRecord& record : records) {
        if (!is_measured(record) || !runtime.is_here(record.desired.cards)) continue;
        MeasuredLease lease{record.desired.lease_id, record.desired.job_id, record.container_id,
                            std::move(record.desired.cards)};
        if (record.desired.spec) {
            lease.cpu_millis = record.desired.spec->cpu_millis;
            lease.memory_bytes = record.desired.spec->memory_bytes;
        }
        running.push_back(std::move(lease));
    }
    return running;
}

std::unique_ptr<ProgressReporter> Agent::make_progress_reporter() {
    const auto server = std::make_shared<ServerLink>(
        state_, [this] { return server_unix_ms(); }, context_->connections);
    return std::make_unique<ProgressReporter>(
        context_->progress,
        [server](const std::string& lease_id, const TransferProgress& progress, std::stop_token stop) {
            server->put_progress(lease_id, progress, std::move(stop));
        });
}

std::unique_ptr<Telemetry> Agent::make_telemetry() {
    // Of the thread that measures, and of the one that sends.
    const std::shared_ptr<Runtime> runtime = connect_();
    const auto server = std::make_shared<ServerLink>(
        state_, [this] { return server_unix_ms(); }, context_->connections);
    TelemetryParts parts;
    parts.leases = [this, runtime] { return running_leases(*runtime); };
    parts.cards = [this] { return known_cards(); };
    parts.server_unix_ms = [this] { return server_unix_ms(); };
    parts.pid_of = [runtime](const std::string& container_id) {
        const auto inspection = runtime->inspect(container_id);
        return inspection ? inspection->pid : 0;
    };
    parts.send = [server](const std::string& lease_id, const std::vector<CardMinutes>& cards,
                          std::stop_token stop) {
        server->send_telemetry(lease_id, cards, std::move(stop));
    };
    parts.gpus.program = options_.probe.program.string();
    parts.gpus.nvml_library = options_.probe.nvml_library;
    parts.metrics_address = options_.metrics_address;
    parts.processors = host_cpu_cores();
    return std::make_unique<Telemetry>(std::move(parts));
}

}  // namespace fallow::agent

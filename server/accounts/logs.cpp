#include "accounts/logs.hpp"

#include <utility>

namespace fallow::accounts {

namespace {

/// What a row costs beside its data, so that a job cannot fill the database with empty lines.
constexpr std::int64_t entry_overhead_bytes = 32;

LogEntry cut_notice(std::int64_t sequence, Time now) {
    return LogEntry{sequence, LogStream::stderr_stream, now,
                    "fallow: the log was cut here: a job may write " +
                        std::to_string(limits::log_bytes_per_job_max) + " bytes to it\n"};
}

}  // namespace

std::string_view api_name(LogStream stream) {
    return stream == LogStream::stdout_stream ? "stdout" : "stderr";
}

std::optional<LogStream> parse_log_stream(std::string_view name) {
    if (name == "stdout") return LogStream::stdout_stream;
    if (name == "stderr") return LogStream::stderr_stream;
    return std::nullopt;
}

LogAppend plan_append(LogHead head, std::int64_t job_bytes, std::int64_t first_sequence,
                      std::vector<LogEntry> entries, Time now) {
    LogAppend plan{head, {}, 0};
    std::int64_t sequence = first_sequence;
    for (LogEntry& entry : entries) {
        entry.sequence = sequence++;
        if (entry.sequence < plan.head.next_sequence) continue;
        plan.head.next_sequence = entry.sequence + 1;
        if (plan.head.cut) continue;
        const auto cost = static_cast<std::int64_t>(entry.data.size()) + entry_overhead_bytes;
        if (job_bytes + plan.bytes + cost > limits::log_bytes_per_job_max) {
            plan.head.cut = true;
            plan.entries.push_back(cut_notice(entry.sequence, now));
            continue;
        }
        plan.bytes += cost;
        plan.entries.push_back(std::move(entry));
    }
    return plan;
}

}  // namespace fallow::accounts

// A job's log: what its attempts wrote to stdout and stderr, in the order in which the agent read it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

FALLOW_ENUM(LogStream, stdout_stream, stderr_stream)

/// "stdout" or "stderr": the enumerators cannot have these names, which <cstdio> defines as macros.
[[nodiscard]] std::string_view api_name(LogStream stream);
[[nodiscard]] std::optional<LogStream> parse_log_stream(std::string_view name);

struct LogEntry {
    static constexpr std::string_view table = "job_logs";
    std::int64_t sequence = 0;  ///< within (job, attempt), from 0; holes are allowed
    LogStream stream = LogStream::stdout_stream;
    Time at;           ///< the agent's clock
    std::string data;  ///< raw bytes, not necessarily UTF-8

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("sequence", row.sequence);
        visit.field("stream", row.stream);
        visit.field("at", row.at);
        visit.field("data", row.data);
    }
    friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

/// How far the log of one attempt has come.
struct LogHead {
    std::int64_t next_sequence = 0;
    bool cut = false;  ///< the job's bytes are used up; its last entry says so
};

struct LogAppend {
    LogHead head;
    std::vector<LogEntry> entries;  ///< to be written
    std::int64_t bytes = 0;         ///< of those, as counted against the limit
};

/// What an append comes to. Entries below head.next_sequence are ignored, so that a repeat is harmless; a
/// gap is accepted, since an agent that had to drop lines must not stall. The first entry that would take
/// the job over log_bytes_per_job_max becomes one that says the log was cut, and nothing follows it.
[[nodiscard]] LogAppend plan_append(LogHead head, std::int64_t job_bytes, std::int64_t first_sequence,
                                    std::vector<LogEntry> entries, Time now);

}  // namespace fallow::accounts

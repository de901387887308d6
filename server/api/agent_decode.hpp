// Bodies of the agents' routes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "accounts/logs.hpp"
#include "base/result.hpp"
#include "market/commands.hpp"

namespace fallow::api {

struct Enrollment {
    std::string token;
    std::string csr;
    std::string signing_key;  ///< base64 of 32 bytes
    std::string proof;        ///< base64 of 64 bytes
    std::string agent_version;
    std::string runtime = "unknown";  ///< until the first inventory says it
    std::string engine;
    std::int32_t cpu_cores = 0;
    std::int64_t memory_bytes = 0;
};
[[nodiscard]] Result<Enrollment> decode_enrollment(std::string_view body);

/// The PKCS #10 request of a renewal.
[[nodiscard]] Result<std::string> decode_certificate_request(std::string_view body);

[[nodiscard]] Result<market::ReportInventory> decode_inventory(std::string_view body);

/// Checks a heartbeat's form. What it says of leases is not kept: the desired state is the only truth.
[[nodiscard]] Status decode_heartbeat(std::string_view body);

[[nodiscard]] Result<market::AgentReport> decode_report(std::string_view body, LeaseId lease);

struct SignedStatement {
    std::string statement;
    std::string signature;  ///< base64 of 64 bytes
};
[[nodiscard]] Result<SignedStatement> decode_usage(std::string_view body);

struct LogChunk {
    std::int64_t first_sequence = 0;
    std::vector<accounts::LogEntry> entries;  ///< numbered from first_sequence
};
[[nodiscard]] Result<LogChunk> decode_logs(std::string_view body);

}  // namespace fallow::api

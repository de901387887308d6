#include "agent/usage.hpp"

#include <fmt/format.h>

namespace fallow::agent {

std::string usage_statement(const LeaseRecord& record, std::int64_t running_ms, bool is_final) {
    return fmt::format(
        "fallow-usage-v2\n"
        "lease: {}\n"
        "epoch: {}\n"
        "container: {}\n"
        "boot: {}\n"
        "nonce: {}\n"
        "sequence: {}\n"
        "running_ms: {}\n"
        "egress_bytes: {}\n"
        "final: {}\n",
        record.desired.lease_id, record.desired.lease_epoch, record.container_id, record.boot_id,
        record.nonce, record.usage_sequence + 1, running_ms, record.egress_bytes,
        is_final ? "true" : "false");
}

}  // namespace fallow::agent

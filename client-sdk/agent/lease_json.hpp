// JSON of leases: the server's desired state, and the agent's own record on disk.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/lease.hpp"

namespace fallow::agent {

/// When a request was sent and its reply read, on the boot clock. A reply that lay in the socket while this
/// process stood still was said long before it was read; the server's clock, as the heartbeats know it,
/// tells when.
struct Exchanged {
    std::int64_t asked_boot_ms = 0;
    std::int64_t received_boot_ms = 0;
    std::int64_t server_offset_ms = 0;  ///< server's clock less the boot clock
};

/// A reply of GET /v1/agent/desired. Its deadlines are given on the server's clock; the reply carries that
/// clock too, so they become boot-clock times here. Throws std::runtime_error, naming the field, when it
/// does not have the contract's form.
[[nodiscard]] Desired parse_desired(std::string_view json, const Exchanged& when);

[[nodiscard]] std::string encode_record(const LeaseRecord& record);
/// Throws std::runtime_error on anything encode_record did not write.
[[nodiscard]] LeaseRecord parse_record(std::string_view json);

}  // namespace fallow::agent

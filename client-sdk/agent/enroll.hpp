// Makes a host part of a market: its two keys, the one-time token, the first certificate; and later the
// renewals.
#pragma once

#include <cstdint>
#include <string>

#include "agent/inventory.hpp"
#include "agent/server_link.hpp"
#include "agent/state.hpp"

namespace fallow::agent {

struct EnrollOptions {
    std::string url;
    std::string ca_file;
    std::string token;
    HostDescription host;
};

/// What can be said of this host's engine by now: the first inventory says the rest. Throws RuntimeError
/// where it answers and runs guests under another runtime than is wanted (empty: any).
void describe_engine(HostDescription& host, const std::string& socket_path,
                     const std::string& wanted_runtime);

/// The host's id. Keys made by an attempt that did not come through are used again by the next.
/// Throws std::runtime_error when the host is enrolled already, and what ServerLink throws.
std::string enroll_host(const StateFolder& state, const EnrollOptions& options);

/// On the server's clock.
[[nodiscard]] std::int64_t certificate_renewal_unix_ms(const StateFolder& state);

/// True when a new certificate was fetched: two thirds of the old one's life have passed.
bool renew_certificate_if_due(const StateFolder& state, ServerLink& server, std::int64_t now_unix_ms);

}  // namespace fallow::agent

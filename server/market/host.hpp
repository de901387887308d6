// A host: a seller's machine that runs fallow-agent. Its cards are in card.hpp.
#pragma once

#include <optional>
#include <string>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"
#include "market/hardware.hpp"
#include "market/reliability.hpp"

namespace fallow::market {

FALLOW_ENUM(HostState, enrolled, online, unreachable, draining, retired)

struct Host {
    static constexpr std::string_view table = "hosts";
    HostId id;
    OrganizationId organization;
    std::string name;
    HostState state = HostState::enrolled;
    Verification verification = Verification::unverified;  ///< of its cards: refused if one of them is
    std::string country;
    std::string runtime;  ///< runc, crun, runsc or kata
    std::string engine;   ///< container engine and its version, as the agent says
    std::string agent_version;
    std::string boot_id;
    std::int32_t cpu_cores = 0;
    std::int64_t memory_bytes = 0;
    std::optional<std::string> cpu_architecture;  ///< "x86_64", as the kernel names it
    std::optional<std::int64_t> disk_bytes;       ///< of the file system that jobs work on
    std::string signing_key;              ///< base64 of the Ed25519 public key registered at enrolment
    std::string signing_key_certificate;  ///< base64 of the server's signature over the host key statement
    Time enrolled_at;
    std::optional<Time> unreachable_since;
    std::int64_t version = 1;
    HostDetails details;
    HostRecord record;  ///< of its leases that have ended
    /// When its owner takes it out of service: all three or none. One at a time, forgotten when it is over.
    std::optional<Time> maintenance_from;
    std::optional<Time> maintenance_until;
    std::optional<std::string> maintenance_reason;
    bool retiring = false;           ///< draining, and retired as soon as it is empty
    std::optional<Time> drained_at;  ///< while draining: since when it is empty
    /// That its heartbeats come from, if it is a public one, and since when: both or none.
    std::optional<std::string> address;
    std::optional<Time> address_since;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("name", row.name);
        visit.field("state", row.state);
        visit.field("verification", row.verification);
        visit.field("country", row.country);
        visit.field("runtime", row.runtime);
        visit.field("engine", row.engine);
        visit.field("agent_version", row.agent_version);
        visit.field("boot_id", row.boot_id);
        visit.field("cpu_cores", row.cpu_cores);
        visit.field("memory_bytes", row.memory_bytes);
        visit.field("cpu_architecture", row.cpu_architecture);
        visit.field("disk_bytes", row.disk_bytes);
        visit.field("signing_key", row.signing_key);
        visit.field("signing_key_certificate", row.signing_key_certificate);
        visit.field("enrolled_at", row.enrolled_at);
        visit.field("unreachable_since", row.unreachable_since);
        visit.field("version", row.version);
        HostDetails::describe(row.details, visit);
        HostRecord::describe(row.record, visit);
        visit.field("maintenance_from", row.maintenance_from);
        visit.field("maintenance_until", row.maintenance_until);
        visit.field("maintenance_reason", row.maintenance_reason);
        visit.field("retiring", row.retiring);
        visit.field("drained_at", row.drained_at);
        visit.field("address", row.address);
        visit.field("address_since", row.address_since);
    }
};

}  // namespace fallow::market

// What is known of a host and of a card beside who they are and a card's proved memory: what kernel and
// driver say, and what was measured on top. Nothing where nobody knows.
#pragma once

#include <optional>
#include <string>

#include "base/enum.hpp"
#include "base/time.hpp"

namespace fallow::market {

/// unverified: nobody has looked. refused: it claims more than it proves.
FALLOW_ENUM(Verification, unverified, verified, refused)

struct CardDetails {
    std::optional<std::int32_t> clock_mhz;           ///< the most that its processors reach
    std::optional<bool> ecc;                         ///< its memory corrects errors
    std::optional<std::int64_t> ecc_errors;          ///< that it could not correct, in its whole life
    std::optional<std::int32_t> nvlink_links;        ///< that are up
    std::optional<std::int64_t> nvlink_bytes_per_s;  ///< all of them together, one way
    std::optional<std::int32_t> nvlink_group;        ///< cards of a host with one number reach each other
    std::optional<std::string> mig_profile;          ///< "1g.10gb": it is a part of a card, cut in hardware
    std::optional<std::string> mig_parent;           ///< the uuid of that card
    friend bool operator==(const CardDetails&, const CardDetails&) = default;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.field("clock_mhz", row.clock_mhz);
        visit.field("ecc", row.ecc);
        visit.field("ecc_errors", row.ecc_errors);
        visit.field("nvlink_links", row.nvlink_links);
        visit.field("nvlink_bytes_per_s", row.nvlink_bytes_per_s);
        visit.field("nvlink_group", row.nvlink_group);
        visit.field("mig_profile", row.mig_profile);
        visit.field("mig_parent", row.mig_parent);
    }
};

/// What is measured together with a card's memory, where it can be.
struct CardSpeeds {
    std::optional<std::int64_t> fp16_flops;             ///< of the vector units
    std::optional<std::int64_t> to_device_bytes_per_s;  ///< from pinned memory of the host
    std::optional<std::int64_t> from_device_bytes_per_s;
    friend bool operator==(const CardSpeeds&, const CardSpeeds&) = default;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.field("measured_fp16_flops", row.fp16_flops);
        visit.field("to_device_bytes_per_s", row.to_device_bytes_per_s);
        visit.field("from_device_bytes_per_s", row.from_device_bytes_per_s);
    }
};

/// The agent's verdict on a card, with its date.
struct CardVerdict {
    Verification verification = Verification::unverified;
    std::optional<std::string> refusal;  ///< why it was refused
    std::optional<Time> verified_at;     ///< passed or refused
    friend bool operator==(const CardVerdict&, const CardVerdict&) = default;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.field("verification", row.verification);
        visit.field("refusal", row.refusal);
        visit.field("verified_at", row.verified_at);
    }
};

/// What a guest reaches beside itself: nothing, or the public internet and what the owner allows.
FALLOW_ENUM(GuestNetwork, none, internet)
/// Of a guest's working storage, when its lease is over: the key is gone, all was overwritten, or it lay in
/// memory.
FALLOW_ENUM(WorkingStorage, encrypted, wiped, memory)

struct HostDetails {
    std::optional<std::string> cpu_model;
    std::optional<std::int32_t> cpu_clock_mhz;  ///< the most that a core reaches
    std::optional<std::string> rack;            ///< as the seller names it
    // Of the file system that jobs work on; all three or none
    std::optional<std::int64_t> disk_write_bytes_per_s;
    std::optional<std::int64_t> disk_read_bytes_per_s;
    std::optional<Time> disk_measured_at;
    std::optional<GuestNetwork> guest_network;
    std::optional<WorkingStorage> working_storage;
    // Between the host and a server of this market, as its agent measured it; all three or none
    std::optional<std::int64_t> network_up_bytes_per_s;
    std::optional<std::int64_t> network_down_bytes_per_s;
    std::optional<Time> network_measured_at;
    /// The containers of a gang can have a network of their own here: others reach the host for it.
    std::optional<bool> gang_network = {};
    friend bool operator==(const HostDetails&, const HostDetails&) = default;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.field("cpu_model", row.cpu_model);
        visit.field("cpu_clock_mhz", row.cpu_clock_mhz);
        visit.field("rack", row.rack);
        visit.field("disk_write_bytes_per_s", row.disk_write_bytes_per_s);
        visit.field("disk_read_bytes_per_s", row.disk_read_bytes_per_s);
        visit.field("disk_measured_at", row.disk_measured_at);
        visit.field("guest_network", row.guest_network);
        visit.field("working_storage", row.working_storage);
        visit.field("network_up_bytes_per_s", row.network_up_bytes_per_s);
        visit.field("network_down_bytes_per_s", row.network_down_bytes_per_s);
        visit.field("network_measured_at", row.network_measured_at);
        visit.field("gang_network", row.gang_network);
    }
};

}  // namespace fallow::market

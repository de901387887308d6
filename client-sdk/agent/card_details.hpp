// What the driver says of a card beside who it is and how much memory it has; nothing where it does not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/card_processes.hpp"

namespace fallow::agent {

/// What stays as it is while a card runs: it is told to the server.
struct CardDetails {
    std::optional<std::int64_t> clock_mhz = {};           ///< the most that its processors reach
    std::optional<bool> ecc = {};                         ///< its memory corrects errors
    std::optional<std::int64_t> ecc_errors = {};          ///< that it could not correct, in its whole life
    std::optional<std::int64_t> nvlink_links = {};        ///< that are up
    std::optional<std::int64_t> nvlink_bytes_per_s = {};  ///< all of them together, one way
    std::optional<std::int64_t> nvlink_group = {};  ///< cards of this host with one number reach each other
    std::optional<std::string> mig_profile = {};    ///< "1g.10gb": a part of a card, cut in hardware
    std::optional<std::string> mig_parent = {};     ///< the uuid of that card
    friend bool operator==(const CardDetails&, const CardDetails&) = default;
};

/// What it was when it was looked at: shown on the host, and told to nobody.
struct CardMoment {
    std::optional<std::int64_t> power_watts = {};
    std::optional<std::int64_t> temperature_celsius = {};
    std::optional<std::int64_t> clock_mhz = {};
    std::optional<std::int64_t> pcie_generation = {};  ///< an idle card may have lowered it
    std::optional<std::int64_t> pcie_width = {};
    std::optional<std::vector<CardProcess>> processes = {};  ///< that are on it
    friend bool operator==(const CardMoment&, const CardMoment&) = default;
};

}  // namespace fallow::agent

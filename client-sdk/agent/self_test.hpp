// `fallow-agent self-test`: is this host fit to be rented out, and what has to be mended. It changes
// nothing but cards.json, and measures only where no agent runs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/card_probe.hpp"
#include "agent/planner.hpp"

namespace fallow::agent {

/// `note`: it works, and could be better. `skipped`: not looked at, for the reason in `measured`.
enum class CheckVerdict { fine, note, wrong, skipped };

struct CheckRow {
    std::string subject;  ///< "host", or a card
    std::string check;
    std::string measured;
    std::string expected;  ///< empty: nothing is known
    CheckVerdict verdict = CheckVerdict::fine;
    std::string remedy;  ///< empty when there is nothing to do
};

struct SelfTestOptions {
    std::string state_folder;  ///< empty: only what can be told without one
    std::string engine_socket = "/run/podman/podman.sock";
    ProbeOptions probe;
    bool measures = true;
};

struct SelfTest {
    std::vector<CheckRow> rows;
    std::vector<CardFacts> cards;

    [[nodiscard]] bool is_fine() const;
};

[[nodiscard]] SelfTest run_self_test(const SelfTestOptions& options);

/// Of one card, as far as it is known.
[[nodiscard]] std::vector<CheckRow> card_rows(const CardFacts& card);
/// Nothing unless its memory could not be overwritten since a guest had it. `used`: by uuid.
[[nodiscard]] std::optional<CheckRow> scrub_row(const CardFacts& card,
                                                const std::map<std::string, UsedCard>& used);
/// Engine, control groups, clock, disk, guard, server and certificate.
[[nodiscard]] std::vector<CheckRow> host_rows(const SelfTestOptions& options);

[[nodiscard]] std::string format_table(const SelfTest& test);
[[nodiscard]] std::string format_json(const SelfTest& test);

}  // namespace fallow::agent

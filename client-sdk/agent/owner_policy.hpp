// When the owner's cards are offered to the market by themselves: the owner's rules, what was seen of each
// card, and the time come in; what is offered, and why not, comes out. Pure.
//
// What counts is the owner's own use: while a lease has a card its utilisation is the renter's, and says
// nothing. A process of the owner's on a card is use, whether it computes at this moment or not: it has
// memory there that a renter would miss. A card opens when it was idle, on average and without a gap, for
// the whole time that the rule names; it closes as soon as it is clearly busier than that for a minute. So
// a card at the edge of the rule does not come and go.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/egress.hpp"

namespace fallow::agent {

/// What ends a lease that runs, with the notice of its terms, beside the owner's own command.
enum class TakeBack {
    never,
    processes,  ///< one of the owner's processes appears
    always,     ///< that, and the end of a window
};

/// Minutes since Monday 00:00 by the host's own clock; one that ends where or before it begins goes over
/// the end of the week.
struct PolicyWindow {
    std::int32_t from = 0;
    std::int32_t until = 0;
    friend bool operator==(const PolicyWindow&, const PolicyWindow&) = default;
};

struct CardRules {
    std::string card = "*";                          ///< an index, a uuid, or all that no other rules name
    std::optional<std::int64_t> idle_below_percent;  ///< nothing: whatever its utilisation
    std::int64_t idle_for_ms = 600'000;
    std::vector<PolicyWindow> windows;     ///< none: always
    std::vector<std::string> never_while;  ///< names of programs
    TakeBack take_back = TakeBack::processes;
    friend bool operator==(const CardRules&, const CardRules&) = default;
};

struct OwnerPolicy {
    std::int64_t keep_back = 0;  ///< so many cards of the host stay with their owner
    std::vector<CardRules> cards;
    EgressPolicy network = {};  ///< of guests
    friend bool operator==(const OwnerPolicy&, const OwnerPolicy&) = default;
};

/// TOML 1.0; README.md has the format. Throws std::runtime_error, with `source` and line, for anything that
/// it does not know: a rule that is not understood must not rent a card out.
[[nodiscard]] OwnerPolicy parse_policy(std::string_view toml, const std::string& source);
/// "fri 18:00-mon 08:00"
[[nodiscard]] std::optional<PolicyWindow> parse_policy_window(std::string_view text);

/// The rules for a card; nothing when there are none: it is offered.
[[nodiscard]] const CardRules* rules_for(const OwnerPolicy& policy, std::int64_t index,
                                         const std::string& uuid);

struct CardSample {
    std::int64_t at_boot_ms = 0;
    std::optional<std::int64_t> percent;  ///< of the time since the sample before; nothing: not known
    std::string process;                  ///< one of `never_while` that runs; empty: none does
    std::string user = {};                ///< a process of the owner's on the card; empty: there is none
};

/// What is remembered of a card between two decisions.
struct CardHistory {
    std::deque<CardSample> samples;  ///< of the last `idle_for`, while no lease has the card
    std::optional<std::int64_t> process_seen_boot_ms;
    std::string process;  ///< that was seen then
    bool is_offered = false;
};

struct PolicyMoment {
    CardSample sample;
    std::int32_t minute_of_week = 0;
    bool is_leased = false;
};

struct CardDecision {
    bool is_offered = true;
    std::string reason;       ///< why it is not, for people
    bool takes_back = false;  ///< what runs on it has to go
    friend bool operator==(const CardDecision&, const CardDecision&) = default;
};

[[nodiscard]] CardDecision decide(const CardRules& rules, CardHistory& history, const PolicyMoment& moment);

/// Keeps further cards back until `count` of them are, from the last one on; what is leased stays.
void keep_back(std::int64_t count, std::vector<CardDecision>& decisions,
               const std::vector<bool>& is_leased);

}  // namespace fallow::agent

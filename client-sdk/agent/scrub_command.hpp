// `fallow-agent scrub`: overwrites the memory of cards at somebody's word, for a Slurm's Epilog and for
// owners.
#pragma once

#include <string>
#include <vector>

#include "agent/card_probe.hpp"

namespace fallow::agent {

struct ScrubbedCard {
    CardFacts card;
    std::string problem;  ///< why it was not overwritten; empty: it was, or there is nothing to overwrite
};

/// The cards that the words mean (card_meant), in their order. Throws std::runtime_error, before anything
/// is done, when one of them means none or several.
[[nodiscard]] std::vector<ScrubbedCard> scrub_named(CardSource& source,
                                                    const std::vector<std::string>& words);

/// Prints what became of each; 1 when one was not overwritten.
int scrub_cards(const ProbeOptions& options, const std::vector<std::string>& words);

}  // namespace fallow::agent

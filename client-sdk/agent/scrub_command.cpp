#include "agent/scrub_command.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iostream>
#include <stdexcept>
#include <utility>

#include "agent/card_scrubber.hpp"
#include "agent/lease.hpp"
#include "agent/owner_words.hpp"

namespace fallow::agent {
namespace {

std::vector<CardStatus> names_of(const std::vector<CardFacts>& cards) {
    std::vector<CardStatus> names;
    for (const CardFacts& card : cards) {
        CardStatus name;
        name.index = card.index;
        name.uuid = card.uuid;
        names.push_back(std::move(name));
    }
    return names;
}

}  // namespace

std::vector<ScrubbedCard> scrub_named(CardSource& source, const std::vector<std::string>& words) {
    const FoundCards found = source.find({});
    const std::vector<CardStatus> names = names_of(found.cards);
    std::vector<ScrubbedCard> all;
    for (const std::string& word : words) {
        const std::string uuid = card_meant(names, word).uuid;
        all.push_back({*std::ranges::find(found.cards, uuid, &CardFacts::uuid), {}});
    }
    for (ScrubbedCard& one : all) {
        if (!is_given_to_guests(one.card.backend)) continue;
        one.problem = scrub_problem(source.scrub(one.card, {}).value_or(ScrubResult{}));
    }
    return all;
}

int scrub_cards(const ProbeOptions& options, const std::vector<std::string>& words) {
    CardProbe probe(options);
    bool are_all_scrubbed = true;
    for (const ScrubbedCard& one : scrub_named(probe, words)) {
        const std::string what =
            is_given_to_guests(one.card.backend) ? "overwritten" : "no guest is given it";
        std::cout << fmt::format("card {} ({}): {}", one.card.index, one.card.uuid,
                                 one.problem.empty() ? what : one.problem)
                  << std::endl;
        are_all_scrubbed = are_all_scrubbed && one.problem.empty();
    }
    return are_all_scrubbed ? 0 : 1;
}

}  // namespace fallow::agent

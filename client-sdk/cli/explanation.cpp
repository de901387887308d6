#include "explanation.hpp"

#include <fmt/format.h>

#include <fallow/human.hpp>

namespace fallow::cli {
namespace {

std::string name_of(const std::string& constraint, const std::optional<std::string>& condition) {
    return printable(condition ? *condition : constraint);
}

std::string line_of(const SingleChange& change) {
    const std::string was = printable(change.was.value_or("-"));
    const std::string what =
        change.now ? fmt::format("{} -> {}", was, printable(*change.now)) : fmt::format("without {}", was);
    const std::string cost = change.term_ms > 0
                                 ? fmt::format(", {} for the term", format_usd(change.cost_micros))
                                 : std::string();
    return fmt::format("  {}: {}: {} for a card and hour{} ({})\n", change.constraint, what,
                       format_usd(change.price_micros_per_hour), cost, change.listing_id);
}

/// Why that listing was taken, as the rest of a sentence.
std::string reason_of(const std::optional<std::string>& because) {
    if (because == "named") return ", as the order or its quote named it.";
    if (because == "price") return ", the lowest ask that fitted when it was filled.";
    if (because == "fragmentation")
        return ": of the listings at the lowest ask that fitted, what it left there was least fragmented.";
    if (because == "lowest_id")
        return ": of the listings at the lowest ask that fitted, none was better; its id is the lowest.";
    if (because == "nvlink")
        return ": of the listings at the lowest ask that fitted, its cards are of one NVLink group.";
    if (because == "rack")
        return ": of the listings at the lowest ask that fitted, its host stands with the others in one "
               "rack.";
    return ".";
}

}  // namespace

std::string text_of(const Explanation& explanation) {
    std::string text = fmt::format("{} of {} cards fit.\n", explanation.left, explanation.cards);
    if (explanation.chosen) {
        const ChosenBecause& chosen = *explanation.chosen;
        text += fmt::format("It took {} at {} for a card and hour{}\n", chosen.listing_id,
                            format_usd(chosen.price_micros_per_hour), reason_of(chosen.because));
        if (chosen.others_price_micros_per_hour)
            text += fmt::format("Of other listings {} cards fit now, from {}.\n", chosen.others,
                                format_usd(*chosen.others_price_micros_per_hour));
    }
    if (!explanation.constraints.empty())
        text += fmt::format("\n{:>8}  {:>8}  {}\n", "removed", "alone", "by");
    for (const ConstraintCount& count : explanation.constraints)
        text += fmt::format("{:>8}  {:>8}  {}\n", count.removed, count.alone,
                            name_of(count.constraint, count.condition));
    if (!explanation.changes.empty()) text += "\nOne change that would match:\n";
    for (const SingleChange& change : explanation.changes)
        text += line_of(change);
    return text;
}

}  // namespace fallow::cli

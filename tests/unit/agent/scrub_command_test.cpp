// Cards whose memory is overwritten at somebody's word.
#include "agent/scrub_command.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

using namespace fallow::agent;

namespace {

/// Three GPUs, of which the last fails, and a processor.
class ThreeCards final : public CardSource {
  public:
    [[nodiscard]] FoundCards find(std::stop_token) override {
        FoundCards found;
        for (const char* uuid : {"GPU-a", "GPU-b", "GPU-c", "CPU-1"}) {
            CardFacts card;
            card.index = static_cast<std::int64_t>(found.cards.size());
            card.uuid = uuid;
            card.backend = card.uuid.starts_with("GPU") ? "nvml" : "opencl";
            found.cards.push_back(std::move(card));
        }
        return found;
    }
    [[nodiscard]] std::optional<Verification> verify(const CardFacts&, std::stop_token) override {
        return std::nullopt;
    }
    [[nodiscard]] std::optional<ScrubResult> scrub(const CardFacts& card, std::stop_token) override {
        scrubbed.push_back(card.uuid);
        ScrubResult result{.reported_bytes = 1000, .scrubbed_bytes = 1000, .problem = {}};
        if (card.uuid == "GPU-c") result.problem = "the driver has lost it";
        return result;
    }

    std::vector<std::string> scrubbed;
};

}  // namespace

TEST_CASE("the cards that are named are overwritten, and what a guest is never given is not") {
    struct Row {
        std::vector<std::string> words;
        std::vector<std::string> scrubbed;
        std::vector<std::string> problems;
    };
    for (const Row& row :
         {Row{{"0"}, {"GPU-a"}, {""}}, Row{{"GPU-b", "0"}, {"GPU-b", "GPU-a"}, {"", ""}},
          Row{{"2", "1"}, {"GPU-c", "GPU-b"}, {"the driver has lost it", ""}}, Row{{"3"}, {}, {""}}}) {
        ThreeCards cards;
        std::vector<std::string> problems;
        for (const ScrubbedCard& one : scrub_named(cards, row.words))
            problems.push_back(one.problem);
        INFO(row.words.front());
        CHECK(cards.scrubbed == row.scrubbed);
        CHECK(problems == row.problems);
    }
}

TEST_CASE("nothing is overwritten when one of the words means no card, or several") {
    for (const char* word : {"9", "GPU-", ""}) {
        ThreeCards cards;
        CHECK_THROWS_AS(scrub_named(cards, {"0", word}), std::runtime_error);
        CHECK(cards.scrubbed.empty());
    }
}

// Overwrites what guests have left in the memory of cards. Which cards those are is in a file before a
// guest starts, so that an agent that is killed at any moment finds them again; when each is overwritten is
// the planner's to say (scrub_plan.hpp).
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agent/card_probe.hpp"
#include "agent/lane.hpp"
#include "agent/planner.hpp"

namespace fallow::agent {

struct ScrubberParts {
    std::filesystem::path file;
    /// What overwrites: one for each card, since several are overwritten beside each other.
    std::function<std::unique_ptr<CardSource>()> connect;
    std::function<std::vector<CardFacts>()> cards;  ///< of this host, as found last
    std::function<void()> wake;                     ///< plan again soon
    std::function<void()> offers_changed;           ///< a card cannot be offered any more, or can again
};

class CardScrubber {
  public:
    /// Where the file cannot be read, guests may have had any card.
    explicit CardScrubber(ScrubberParts parts);
    CardScrubber(const CardScrubber&) = delete;
    CardScrubber& operator=(const CardScrubber&) = delete;

    // Any thread.
    /// A guest is about to get these cards, or has them. Throws std::runtime_error when that cannot be
    /// noted.
    void note_guest(const std::vector<LeaseCard>& cards);
    /// The server has been told that these cards are not offered, by uuid.
    void note_withheld(const std::map<std::string, std::string>& withheld);
    [[nodiscard]] std::vector<UsedCard> used() const;
    /// Nothing when it is being overwritten already.
    void scrub(const std::string& uuid);
    void abandon(const std::string& uuid);

  private:
    struct Worker {
        std::unique_ptr<CardSource> source;  ///< of the lane
        std::unique_ptr<Lane> lane;          // last: it uses the source
    };
    void overwrite(const std::string& uuid, CardSource& source, const std::stop_token& stop);
    [[nodiscard]] ScrubResult try_to_overwrite(const std::string& uuid, CardSource& source,
                                               const std::stop_token& stop) const;
    [[nodiscard]] bool note_scrubbed(const std::string& uuid, const std::stop_token& stop);
    void note_failure(const std::string& uuid, const std::string& problem);
    void save(std::map<std::string, UsedCard> used);

    const ScrubberParts parts_;
    mutable std::mutex mutex_;
    std::map<std::string, UsedCard> used_;   ///< by uuid
    std::map<std::string, Worker> workers_;  // last: their threads use all of the above
};

/// Why the memory does not count as overwritten, in a sentence; empty when it does.
[[nodiscard]] std::string scrub_problem(const ScrubResult& result);

/// The file in the agent's state folder.
[[nodiscard]] std::filesystem::path used_cards_file(const std::filesystem::path& state_folder);
/// Which cards, and what has become of the tries.
[[nodiscard]] std::string encode_used_cards(const std::map<std::string, UsedCard>& used);
/// Throws std::runtime_error on anything encode_used_cards did not write.
[[nodiscard]] std::map<std::string, UsedCard> parse_used_cards(std::string_view text);

}  // namespace fallow::agent

// What this host's cards are and have proved, kept in a file, and proved again on a schedule while they are
// free. A lease that begins ends the measurement of its card.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/card_probe.hpp"

namespace fallow::agent {

struct KeeperOptions {
    ProbeOptions probe;
    std::filesystem::path file;  ///< empty: nothing is kept
    std::int64_t verify_every_ms = 24LL * 3600 * 1000;
    bool measures = true;
};

class CardKeeper {
  public:
    /// `source`: where the cards are; this host's when there is none.
    explicit CardKeeper(KeeperOptions options, CardSource* source = nullptr);

    /// All cards, refused ones too. One is verified when that is due, nobody uses its memory, and
    /// `is_leased` says no. Throws std::runtime_error when the cards cannot be looked for at all.
    [[nodiscard]] FoundCards take(const std::function<bool(const CardFacts&)>& is_leased,
                                  std::stop_token stop);

    /// A lease of these cards begins: when this returns, none of them is being measured any more.
    /// Any thread.
    void yield(const std::vector<std::string>& uuids);

    /// What is kept; empty when there is nothing that can be read.
    [[nodiscard]] static std::vector<CardFacts> kept(const std::filesystem::path& file);

  private:
    void verify(CardFacts& card, const std::function<bool(const CardFacts&)>& is_leased,
                const std::stop_token& stop);
    void keep(const std::vector<CardFacts>& cards) const;

    KeeperOptions options_;
    CardProbe probe_;
    CardSource& source_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<CardFacts> measuring_;
    std::stop_source stop_measuring_;
};

}  // namespace fallow::agent

// How busy leased cards are, for jobs that are ended when idle. A thread of its own asks the drivers, from
// the first question on: should one of them hang, a lease only finds that nothing is known.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/inventory.hpp"
#include "agent/lease.hpp"

namespace fallow::agent {

class CardUse {
  public:
    /// `cards`: what this host has; from any thread.
    explicit CardUse(std::function<std::vector<CardFacts>()> cards) : cards_(std::move(cards)) {}

    /// Of the busiest of them; nothing when it is not known of one. Any thread.
    [[nodiscard]] std::optional<std::int64_t> percent(const std::vector<LeaseCard>& cards);

  private:
    struct Reading {
        std::int64_t percent = 0;
        std::int64_t at_boot_ms = 0;
    };
    void run(std::stop_token stop);

    const std::function<std::vector<CardFacts>()> cards_;
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::map<std::string, Reading> readings_;  ///< by uuid
    std::jthread thread_;                      ///< last: it uses all of the above
};

}  // namespace fallow::agent

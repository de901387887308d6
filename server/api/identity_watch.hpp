// Tells whether anything has changed that decides who somebody is: a key or certificate revoked, an
// organization frozen, a host retired. While it vouches that nothing has, what was looked up holds, and ten
// thousand agents that beat cost no look-up each.
//
// It hears of such changes in two ways: the market's committed rows pass through it to the search index,
// and the follower's looks at the database tell of new records in the stream "accounts".
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/committed.hpp"
#include "engine/journal_source.hpp"

namespace fallow::api {

class IdentityWatch : public engine::CommittedView {
  public:
    using Clock = std::chrono::steady_clock;

    explicit IdentityWatch(engine::CommittedView& next) : next_(next) {}

    void reset(const market::State& state, std::int64_t sequence) override;
    void apply(std::int64_t sequence, std::vector<engine::CommittedRow> rows) override;
    [[nodiscard]] std::int64_t sequence() const override { return next_.sequence(); }

    /// From within a look, when there may be new records: reads them. Throws what the source throws; then
    /// everything counts as changed.
    void read_accounts(engine::JournalSource& source, const std::string& market);
    /// After each look that succeeded, on the looking thread.
    void looked();

    // --- any thread

    /// Of what is known so far. A look-up notes it before it asks the database.
    [[nodiscard]] std::uint64_t version() const { return version_.load(); }
    /// Everything until then is in the version.
    [[nodiscard]] Clock::time_point confirmed_at() const { return Clock::time_point(confirmed_at_.load()); }

  private:
    void changed() { ++version_; }

    engine::CommittedView& next_;
    std::atomic<std::uint64_t> version_ = 1;
    std::atomic<Clock::duration> confirmed_at_{Clock::duration::zero()};
    Clock::time_point last_look_;                ///< of the looking thread
    std::optional<std::int64_t> accounts_seen_;  ///< of the looking thread
};

}  // namespace fallow::api

// How many hosts the market believes to be online: agents are told by it how long to take when they come
// back (engine::idle_return). It sees each committed row on its way to the search index.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <unordered_set>

#include "base/ids.hpp"
#include "engine/committed.hpp"

namespace fallow::api {

class HostCount : public engine::CommittedView {
  public:
    explicit HostCount(engine::CommittedView& next) : next_(next) {}

    void reset(const market::State& state, std::int64_t sequence) override;
    void apply(std::int64_t sequence, std::vector<engine::CommittedRow> rows) override;
    [[nodiscard]] std::int64_t sequence() const override { return next_.sequence(); }

    /// Any thread.
    [[nodiscard]] std::size_t online() const { return count_.load(); }

  private:
    engine::CommittedView& next_;
    std::mutex mutex_;
    std::unordered_set<HostId> online_;
    std::atomic<std::size_t> count_ = 0;
};

}  // namespace fallow::api

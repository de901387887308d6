// The search index of this server, whether it leads or follows: it takes what is committed, and readers on
// any thread look at it as some journal record left it.
#pragma once

#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <utility>

#include "engine/committed.hpp"
#include "market/search/index.hpp"

namespace fallow::engine {

class SearchIndex : public CommittedView {
  public:
    explicit SearchIndex(const market::Rules& rules) : index_(rules) {}

    void reset(const market::State& state, std::int64_t sequence) override;
    /// What comes again, or before a reset, is left out. When records are missing nothing is shown until
    /// the next reset.
    void apply(std::int64_t sequence, std::vector<CommittedRow> rows) override;
    [[nodiscard]] std::int64_t sequence() const override { return newest_; }

    /// False while there is nothing to read yet.
    [[nodiscard]] bool is_loaded() const { return newest_ != 0; }
    /// Calls `read` with the index as the newest record left it, and returns what it returns.
    template <class Read>
    [[nodiscard]] auto read(Read&& read) {
        catch_up();
        const std::shared_lock lock(index_mutex_);
        return read(std::as_const(index_));
    }

  private:
    struct Record {
        std::int64_t sequence = 0;
        std::vector<CommittedRow> rows;
    };
    /// How many rows may wait for a reader before the writer itself carries them in.
    static constexpr std::size_t waiting_rows_max = 1024;

    void catch_up();
    void carry_in();

    std::shared_mutex index_mutex_;  ///< taken before the other
    market::search::Index index_;
    std::mutex waiting_mutex_;
    std::vector<Record> waiting_;
    std::size_t waiting_rows_ = 0;
    std::atomic<std::int64_t> newest_{0};
};

}  // namespace fallow::engine

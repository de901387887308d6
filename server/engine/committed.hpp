// What a server keeps of the market beside the leader's own state: rows that are committed, in the
// journal's order, whether this server leads or follows.
#pragma once

#include <cstdint>
#include <vector>

#include "market/search/indexed.hpp"

namespace fallow::engine {

struct CommittedRow {
    market::AnyRow row;  ///< as it is now, or was last
    bool is_removed = false;
};

class CommittedView {
  public:
    virtual ~CommittedView() = default;
    /// The market as journal record `sequence` left it.
    virtual void reset(const market::State& state, std::int64_t sequence) = 0;
    /// What record `sequence` changed, in its order.
    virtual void apply(std::int64_t sequence, std::vector<CommittedRow> rows) = 0;
    /// The last record that is known here; 0 before the first reset.
    [[nodiscard]] virtual std::int64_t sequence() const = 0;
};

}  // namespace fallow::engine

// A market kept by its journal: the same state as the leader's, one record behind at most. Pure: whoever
// owns it brings the records, in order.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "engine/committed.hpp"
#include "engine/store.hpp"
#include "market/state.hpp"

namespace fallow::engine {

/// A record that does not follow the last one, is not what was hashed, or cannot be read. The state may
/// hold a part of it: it has to be built anew from the tables.
struct JournalBroken : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class Replica {
  public:
    /// The market exactly as record `position.sequence` left it.
    Replica(market::State state, JournalPosition position)
        : state_(std::move(state)), position_(std::move(position)) {}

    /// Applies the next record and returns the hub's topics that its readers wait on. Throws JournalBroken.
    [[nodiscard]] std::vector<std::string> apply(const JournalRecord& record);

    /// The rows that the last record changed, as far as search is made of them.
    [[nodiscard]] std::vector<CommittedRow> take_changed() { return std::move(changed_); }

    [[nodiscard]] const market::State& state() const { return state_; }
    [[nodiscard]] const JournalPosition& position() const { return position_; }
    /// Takes the state out; the replica is of no use afterwards.
    [[nodiscard]] market::State take() { return std::move(state_); }

  private:
    market::State state_;
    JournalPosition position_;
    std::vector<CommittedRow> changed_;
};

}  // namespace fallow::engine

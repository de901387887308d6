// A batch as it goes from the deciding thread to the committing one, and back when it could not be
// committed.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "engine/engine.hpp"
#include "market/transaction.hpp"

namespace fallow::engine {

/// A decided command with the reply it will get after the commit.
struct Decided {
    Submission submission;
    Reply reply;
    bool replayed =
        false;  ///< a twin of an earlier command: it waits for that one's commit and gets its reply
};

struct DecidedBatch {
    std::vector<Decided> commands;
    std::vector<market::Entry> entries;
    std::vector<IdempotencyRecord> idempotency;
    Time now;
    bool forced = false;  ///< a part of a batch that failed before: decided alone, never extended

    [[nodiscard]] bool writes() const { return !entries.empty() || !idempotency.empty(); }
};

}  // namespace fallow::engine

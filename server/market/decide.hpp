// market/: the market as a pure function. decide(state, command) checks everything, then changes the state
// and says what it changed. No clock, no randomness, no I/O, no thread: time and ids come in with the
// command. It is not the engine (which orders commands and makes them durable) and knows nothing of HTTP,
// SQL or JSON.
#pragma once

#include <vector>

#include "base/result.hpp"
#include "market/commands.hpp"
#include "market/transaction.hpp"

namespace fallow::market {

struct Decision {
    Result<Outcome> outcome;
    std::vector<Entry> entries;  ///< empty when the outcome is an Error
};

[[nodiscard]] Decision decide(State& state, const Command& command, const Context& context);

}  // namespace fallow::market

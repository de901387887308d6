// When work that needs several cards at once may start: free cards over time, and the rule by which those
// who wait are served. Each gets, in the order of service, the earliest time at which all its cards are
// free for all its term beside everything booked before it. So whoever comes later fills the gaps
// (backfill), and nobody's start moves back because of somebody behind: no gang is delayed, and none
// starves.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/time.hpp"

namespace fallow::market::placement {

/// Free cards of one pool from `now` on. All terms are upper bounds that were stated beforehand.
class Timetable {
  public:
    Timetable(Time now, std::int64_t cards) : cards_(cards), free_{{now, cards}} {}

    /// The first time, not before `from`, from which `cards` are free for `term`. The pool must have as
    /// many.
    [[nodiscard]] Time earliest(Time from, std::int64_t cards, Millis term) const;

    /// Takes cards that are free for all of [start, end).
    void book(Time start, Time end, std::int64_t cards);

    /// Gives back what was booked and is not used: all or the rest of a booking.
    void give_back(Time start, Time end, std::int64_t cards);

    /// Forgets what lies before `now`.
    void forget_before(Time now);

    [[nodiscard]] std::int64_t free_at(Time when) const;

  private:
    using Steps = std::map<Time, std::int64_t>;
    Steps::iterator step_at(Time when);
    void add(Time start, Time end, std::int64_t cards);

    std::int64_t cards_;
    Steps free_;  ///< from each time to the next; the last one for ever
};

struct Running {
    std::int64_t cards = 0;
    Time end;  ///< the latest that it may take
};

struct Waiting {
    std::int64_t cards = 0;
    Millis term;
    std::optional<Time> promised;  ///< the start it was given before; nothing for a newcomer
};

/// The start of each of `waiting`, which is in the order of service; who has `now` is served at once. No
/// start is later than the one promised: each is looked for beside all other promises, and kept if nothing
/// earlier has come free. (Planning anew without them could push back who stood in a gap that an earlier
/// one now takes.) Nobody may wait for more cards than the pool has, and what is promised must be free.
[[nodiscard]] std::vector<Time> plan(Time now, std::int64_t cards, const std::vector<Running>& running,
                                     const std::vector<Waiting>& waiting);

}  // namespace fallow::market::placement

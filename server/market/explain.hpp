// Why an order, or a query, finds what it finds: how many cards each constraint removes, and the nearest
// single changes that would match, with their price. A pure function over the state; nothing is decided by
// it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "market/matching.hpp"
#include "market/search/query.hpp"

namespace fallow::market {

/// One constraint among the cards of all listings.
struct ConstraintCount {
    Constraint constraint = Constraint::listing;
    std::string condition;     ///< of a query: the condition as it was written; else empty
    std::int64_t removed = 0;  ///< cards that pass everything before it, and not this
    std::int64_t alone = 0;    ///< cards that do not pass it, whatever else they pass
    friend bool operator==(const ConstraintCount&, const ConstraintCount&) = default;
};

/// What would match if one thing of the order were otherwise.
struct SingleChange {
    Constraint constraint = Constraint::listing;
    std::string was;  ///< as people write it; a condition of a query as it was written
    std::string now;  ///< empty: left out
    Order order;      ///< with the change; it matches
    ListingId listing;
    ledger::Price price;  ///< for a card and hour; of a bid the floor
    ledger::Micros cost;  ///< of all cards for the whole term, without storage and traffic
};

/// For a filled order: why it got what it has.
struct ChosenBecause {
    ListingId listing;
    ledger::Price price;
    std::optional<ChosenBy> because;            ///< as it was when the order was filled
    std::int64_t others = 0;                    ///< cards of other listings that fit now
    std::optional<ledger::Price> others_price;  ///< the lowest among them
};

struct Explanation {
    std::int64_t cards = 0;                    ///< in listings that are not withdrawn
    std::int64_t left = 0;                     ///< that pass every constraint
    std::vector<ConstraintCount> constraints;  ///< in the order in which they are asked; those that remove
                                               ///< none alone are left out, but for a query's conditions
    std::vector<SingleChange> changes;         ///< where nothing fits: the cheapest first, one a constraint
    std::optional<ChosenBecause> chosen;
};

[[nodiscard]] Explanation explain(const State& state, const Order& order, Time now);
/// The same with why the lease that fills it was chosen.
[[nodiscard]] Explanation explain_filled(const State& state, const Order& order, const Lease& lease,
                                         Time now);

/// A query alone: what search would find now. A change's order is a query for one card and hour, of which
/// only the requirements count.
[[nodiscard]] Explanation explain_query(const State& state, const search::Query& query, Time now);

/// What a fill-or-kill is refused with.
struct NoMatch : ErrorFacts {
    Explanation explanation;
};
[[nodiscard]] Error no_match(const State& state, const Order& order, Time now);

}  // namespace fallow::market

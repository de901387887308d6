// The nearest single changes of an order that would match: collected while its constraints are counted,
// each tried before it is told.
#pragma once

#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "market/explain.hpp"

namespace fallow::market {

/// One thing that is asked of each card: a rule of matching, or a condition of the query.
struct Asked {
    Constraint constraint = Constraint::listing;
    std::string condition;
    bool (*of_listing)(const Pairing&) = nullptr;
    bool (*of_card)(const Pairing&, const Card&) = nullptr;
    const search::Query* query = nullptr;
    std::size_t node = 0;
};
[[nodiscard]] bool holds(const Asked& asked, const Pairing& pairing, const Card& card);

class NearestChanges {
  public:
    NearestChanges(const State& state, const Order& order, Time now, bool is_query_alone)
        : state_(state), order_(order), now_(now), is_query_alone_(is_query_alone) {}

    /// A card that passes everything but `asked`.
    void kept_away(const Asked& asked, const Pairing& pairing, const Card& card);
    /// A listing with fewer fitting cards than the order wants.
    void too_few(const Listing& listing, std::int64_t fitting);
    /// Fewer hosts that fit, at least one, than an order over several wants; the cheapest listing of
    /// theirs.
    void too_few_hosts(const Listing& listing, std::int32_t fitting);

    /// Of what would help, the nearest for each constraint that does match, the cheapest first.
    [[nodiscard]] std::vector<SingleChange> take();

  private:
    /// How far a candidate is from what was asked, then its price and listing.
    using Distance = std::tuple<Int128, ledger::Price, ListingId>;
    struct Candidate {
        std::string was;
        std::string now;
        Requirements requirements;
        ledger::Price price_max;
        std::optional<ledger::Micros> storage_price_max;
        std::optional<ledger::Micros> egress_price_max;
        Millis term;
        std::int32_t count = 1;
        std::int32_t thousandths = limits::thousandths_per_card;
        std::int32_t hosts = 1;
        NvlinkWish nvlink = NvlinkWish::prefer;
        bool is_approved = false;
    };
    using Key = std::pair<Constraint, std::string>;

    [[nodiscard]] Candidate unchanged() const;
    void offer(const Key& key, Int128 distance, const Listing& listing, Candidate candidate);
    void offer_term(Constraint constraint, const Pairing& pairing);
    void offer_before_booking(const Pairing& pairing, const Card& card);
    void offer_approval(const Pairing& pairing, const Card& card);
    void offer_requirement(const Asked& asked, const Pairing& pairing, const Card& card);
    void offer_condition(const Asked& asked, const Pairing& pairing, const Card& card);
    [[nodiscard]] std::optional<SingleChange> tried(Constraint constraint,
                                                    const Candidate& candidate) const;
    [[nodiscard]] std::optional<SingleChange> tried_query(SingleChange change) const;

    const State& state_;
    const Order& order_;
    Time now_;
    bool is_query_alone_;
    std::map<Key, std::map<Distance, Candidate>> candidates_;
};

}  // namespace fallow::market

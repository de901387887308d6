#include "market/explain.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "market/explain_changes.hpp"

namespace fallow::market {
namespace {

/// What a query alone asks of a card that is to be leased now.
bool is_of_query(Constraint constraint) {
    switch (constraint) {
        case Constraint::listing_state:
        case Constraint::host_state:
        case Constraint::frozen:
        case Constraint::window:
        case Constraint::maintenance:
        case Constraint::query:
        case Constraint::missing:
        case Constraint::in_use:
            return true;
        default:
            return false;
    }
}

void add_conditions(const search::Query& query, std::vector<Asked>& asked) {
    for (const std::size_t node : search::conjuncts(query))
        asked.push_back(
            {Constraint::query, std::string(search::text_of(query, node)), nullptr, nullptr, &query, node});
}

std::vector<Asked> asked_of(const Order& order, bool is_query_alone) {
    std::vector<Asked> asked;
    for (const ListingRule& rule : listing_rules())
        if (!is_query_alone || is_of_query(rule.constraint))
            asked.push_back({rule.constraint, {}, rule.holds});
    for (const CardRule& rule : card_rules()) {
        if (is_query_alone && !is_of_query(rule.constraint)) continue;
        if (rule.constraint == Constraint::query && order.requirements.compiled)
            add_conditions(*order.requirements.compiled, asked);
        else
            asked.push_back({rule.constraint, {}, nullptr, rule.holds});
    }
    return asked;
}

/// Counts over every card of every listing; what only one thing keeps away is offered to `changes`.
class Count {
  public:
    Count(const State& state, const Order& order, Time now, std::vector<Asked> asked)
        : state_(state),
          order_(order),
          now_(now),
          asked_(std::move(asked)),
          counts_(asked_.size()),
          claims_(claims_before(state, order, now)) {}

    void run(NearestChanges* changes) {
        for (const auto& [id, listing] : state_.table<Listing>()) {
            if (listing.state == ListingState::withdrawn) continue;
            one_listing(listing, changes);
        }
        if (order_.is_gang()) count_hosts(changes);
    }

    [[nodiscard]] Explanation result() {
        Explanation explanation;
        explanation.cards = cards_;
        explanation.left = left_ - too_few_.removed - too_few_hosts_.removed;
        for (std::size_t i = 0; i < asked_.size(); ++i) {
            counts_[i].constraint = asked_[i].constraint;
            counts_[i].condition = asked_[i].condition;
            if (counts_[i].alone > 0 || asked_[i].query != nullptr)
                explanation.constraints.push_back(counts_[i]);
        }
        too_few_.constraint = Constraint::cards;
        too_few_hosts_.constraint = Constraint::hosts;
        for (const ConstraintCount& count : {too_few_, too_few_hosts_})
            if (count.alone > 0 || count.removed > 0) explanation.constraints.push_back(count);
        return explanation;
    }
    /// Cards that fit, by listing.
    [[nodiscard]] const std::map<ListingId, std::int64_t>& fitting() const { return fitting_; }

  private:
    void one_listing(const Listing& listing, NearestChanges* changes) {
        Pairing pairing = pair_up(state_, order_, listing, now_);
        pairing.claims = &claims_;
        std::int64_t in_listing = 0;
        std::int64_t left = 0;
        for (const CardId id : listing.cards) {
            const Card* card = state_.find<Card>(id);
            if (card == nullptr) continue;
            ++in_listing;
            if (one_card(pairing, *card, changes)) ++left;
        }
        cards_ += in_listing;
        left_ += left;
        if (in_listing < order_.count)
            too_few_.alone += in_listing;
        else
            large_hosts_.insert(listing.host);
        if (left >= order_.count) {
            fitting_[listing.id] = left;
        } else {
            too_few_.removed += left;
            if (changes != nullptr && left > 0) changes->too_few(listing, left);
        }
    }

    /// Each host serves an order over several with one listing.
    void count_hosts(NearestChanges* changes) {
        const auto wanted = static_cast<std::size_t>(order_.hosts);
        if (large_hosts_.size() < wanted) too_few_hosts_.alone = cards_;
        std::set<HostId> hosts;
        const Listing* cheapest = nullptr;
        for (const auto& [id, cards] : fitting_) {
            const Listing& listing = state_.at<Listing>(id);
            hosts.insert(listing.host);
            if (cheapest == nullptr || listing.ask < cheapest->ask) cheapest = &listing;
        }
        if (hosts.size() >= wanted) return;
        for (const auto& [id, cards] : fitting_)
            too_few_hosts_.removed += cards;
        if (changes != nullptr && cheapest != nullptr)
            changes->too_few_hosts(*cheapest, static_cast<std::int32_t>(hosts.size()));
    }

    bool one_card(const Pairing& pairing, const Card& card, NearestChanges* changes) {
        std::size_t failures = 0;
        std::size_t first = 0;
        for (std::size_t i = 0; i < asked_.size(); ++i) {
            if (holds(asked_[i], pairing, card)) continue;
            ++counts_[i].alone;
            if (failures++ == 0) first = i;
        }
        if (failures == 0) return true;
        ++counts_[first].removed;
        if (failures == 1 && changes != nullptr) changes->kept_away(asked_[first], pairing, card);
        return false;
    }

    const State& state_;
    const Order& order_;
    Time now_;
    std::vector<Asked> asked_;
    std::vector<ConstraintCount> counts_;
    Claims claims_;
    ConstraintCount too_few_;
    ConstraintCount too_few_hosts_;
    std::set<HostId> large_hosts_;  ///< with a listing of enough cards, fitting or not
    std::int64_t cards_ = 0;
    std::int64_t left_ = 0;
    std::map<ListingId, std::int64_t> fitting_;
};

}  // namespace

bool holds(const Asked& asked, const Pairing& pairing, const Card& card) {
    if (asked.of_listing != nullptr) return asked.of_listing(pairing);
    if (asked.of_card != nullptr) return asked.of_card(pairing, card);
    const search::Facts facts = search::facts_of(pairing.state, pairing.listing, &card);
    return search::evaluate(*asked.query, asked.node, search::FactsRow(facts)) == search::Truth::yes;
}

Explanation explain(const State& state, const Order& order, Time now) {
    Count count(state, order, now, asked_of(order, false));
    NearestChanges changes(state, order, now, false);
    count.run(&changes);
    Explanation explanation = count.result();
    if (explanation.left == 0) explanation.changes = changes.take();
    return explanation;
}

Explanation explain_filled(const State& state, const Order& order, const Lease& lease, Time now) {
    Count count(state, order, now, asked_of(order, false));
    count.run(nullptr);
    Explanation explanation = count.result();
    ChosenBecause chosen{lease.listing, lease.price, lease.chosen_by, 0, std::nullopt};
    for (const auto& [listing, cards] : count.fitting()) {
        if (listing == lease.listing) continue;
        const ledger::Price ask = state.at<Listing>(listing).ask;
        chosen.others += cards;
        chosen.others_price = chosen.others_price ? std::min(*chosen.others_price, ask) : ask;
    }
    explanation.chosen = chosen;
    return explanation;
}

Explanation explain_query(const State& state, const search::Query& query, Time now) {
    Order order;
    order.price_max = ledger::Price(limits::price_micros_per_hour_max);
    order.requirements.query = query.text;
    order.requirements.compiled = std::make_shared<const search::Query>(query);
    Count count(state, order, now, asked_of(order, true));
    NearestChanges changes(state, order, now, true);
    count.run(&changes);
    Explanation explanation = count.result();
    if (explanation.left == 0) explanation.changes = changes.take();
    return explanation;
}

Error no_match(const State& state, const Order& order, Time now) {
    Error error = refuse(ErrorCode::no_match,
                         "No open listing fits now: relax a requirement, raise the price limit, or let the "
                         "order stand.");
    // A decision has to be quick: of a larger market the explanation is to be asked for by itself.
    if (state.table<Card>().size() > limits::explained_cards_in_decision_max) return error;
    auto facts = std::make_shared<NoMatch>();
    facts->explanation = explain(state, order, now);
    error.facts = std::move(facts);
    return error;
}

}  // namespace fallow::market

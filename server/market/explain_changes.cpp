#include "market/explain_changes.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "ledger/money.hpp"
#include "market/bookings.hpp"
#include "market/host_life.hpp"
#include "market/policy_check.hpp"
#include "market/spot.hpp"

namespace fallow::market {
namespace {

/// How many of a constraint's nearest candidates are tried.
constexpr std::size_t tries_max = 8;

std::string list_of(const std::vector<std::string>& texts) {
    std::string list;
    for (const std::string& text : texts)
        list += fmt::format("{}{}", list.empty() ? "" : ", ", text);
    return list;
}

std::string text_of(ledger::Price price) {
    return search::write_value(search::Kind::price, price.micros_per_hour);
}
std::string text_of(ledger::Micros amount) {
    return search::write_value(search::Kind::money, amount.count);
}
std::string text_of(Millis span) {
    return search::write_value(search::Kind::duration, span.count);
}
std::string text_of_share(std::int32_t thousandths) {
    if (thousandths == limits::thousandths_per_card) return "a whole card";
    return fmt::format("{}/1000 of a card", thousandths);
}
std::string text_of_bytes(std::int64_t bytes) {
    return search::write_value(search::Kind::bytes, bytes);
}

Int128 apart(Int128 a, Int128 b) {
    return a < b ? b - a : a - b;
}

/// A value as a query has it; nothing when no quotes can hold it.
std::optional<std::string> literal(const search::Field& field, const search::Value& value) {
    if (field.kind != search::Kind::text) return search::write_value(field.kind, value.number);
    if (value.text.size() > limits::query_value_bytes_max) return std::nullopt;
    const char quote = value.text.find('"') == std::string_view::npos ? '"' : '\'';
    if (value.text.find(quote) != std::string_view::npos) return std::nullopt;
    return fmt::format("{}{}{}", quote, value.text, quote);
}

/// The condition as it would have to be for `value` to fulfil it; empty when it can only be left out.
std::string widened(const search::Condition& condition, std::string_view text, const search::Value& value) {
    const auto wanted = value.is_known ? literal(*condition.field, value) : std::nullopt;
    if (!wanted) return {};
    const std::string_view name = condition.field->name;
    switch (condition.op) {
        case search::Operator::greater:
        case search::Operator::at_least:
            return fmt::format("{} >= {}", name, *wanted);
        case search::Operator::less:
        case search::Operator::at_most:
            return fmt::format("{} <= {}", name, *wanted);
        case search::Operator::between: {
            const std::int64_t low = std::min(condition.numbers[0], value.number);
            const std::int64_t high = std::max(condition.numbers[1], value.number);
            return fmt::format("{} between {} and {}", name,
                               search::write_value(condition.field->kind, low),
                               search::write_value(condition.field->kind, high));
        }
        case search::Operator::equal:
            return condition.field->kind == search::Kind::boolean
                       ? std::string()
                       : fmt::format("({} or {} = {})", text, name, *wanted);
        case search::Operator::one_of:
            return fmt::format("({} or {} = {})", text, name, *wanted);
        case search::Operator::not_equal:
        case search::Operator::contains:
        case search::Operator::known:
            break;
    }
    return {};
}

/// The distance of a value from the bound that it misses.
Int128 missed_by(const search::Condition& condition, const search::Value& value) {
    if (!value.is_known || condition.numbers.empty()) return 0;
    Int128 least = apart(condition.numbers.front(), value.number);
    for (const std::int64_t number : condition.numbers)
        least = std::min(least, apart(number, value.number));
    return least;
}

/// The query with one of its conditions otherwise, or left out.
std::string rewritten(const search::Query& query, std::size_t changed, const std::string& text) {
    std::string all;
    for (const std::size_t node : search::conjuncts(query)) {
        const std::string part = node == changed ? text : std::string(search::text_of(query, node));
        if (!part.empty()) all += (all.empty() ? "" : " and ") + part;
    }
    return all + query.text.substr(query.nodes[*query.root].end);
}

/// The ask; of a bid the floor, which it never pays less than.
ledger::Price price_of(const State& state, ListingId id, const Order& order) {
    const Listing& listing = state.at<Listing>(id);
    return entry_price(listing, order).value_or(listing.ask);
}

ledger::Micros cost_of(const State& state, const Match& match, const Order& order) {
    Int128 numerator = 0;
    for (const Member& member : match.members)
        numerator += static_cast<Int128>(price_of(state, member.listing, order).micros_per_hour) *
                     order.term.count * member.thousandths * static_cast<std::int64_t>(member.cards.size());
    return ledger::Micros(static_cast<std::int64_t>(numerator / ledger::numerator_per_micro));
}

}  // namespace

NearestChanges::Candidate NearestChanges::unchanged() const {
    return {{},
            {},
            order_.requirements,
            order_.price_max,
            order_.storage_price_max,
            order_.egress_price_max,
            order_.term,
            order_.count,
            order_.thousandths,
            order_.hosts,
            order_.nvlink,
            order_.approved};
}

void NearestChanges::offer(const Key& key, Int128 distance, const Listing& listing, Candidate candidate) {
    auto& nearest = candidates_[key];
    nearest.emplace(Distance{distance, listing.ask, listing.id}, std::move(candidate));
    if (nearest.size() > tries_max) nearest.erase(std::prev(nearest.end()));
}

void NearestChanges::offer_term(Constraint constraint, const Pairing& pairing) {
    const Listing& listing = pairing.listing;
    Millis longest = listing.term_max;
    if (listing.available_until) longest = std::min(longest, *listing.available_until - now_);
    if (const auto before = longest_before_maintenance(pairing.host, now_))
        longest = std::min(longest, *before);
    if (longest < listing.term_min || longest < Millis(limits::term_ms_min)) return;
    Candidate candidate = unchanged();
    candidate.term = std::clamp(order_.term, listing.term_min, longest);
    candidate.was = text_of(order_.term);
    candidate.now = text_of(candidate.term);
    const Int128 distance = apart(candidate.term.count, order_.term.count);
    offer({constraint, {}}, distance, listing, std::move(candidate));
}

/// A term that is over before the card has to be clean for what is booked on it, in whole minutes.
void NearestChanges::offer_before_booking(const Pairing& pairing, const Card& card) {
    const auto longest = longest_before_bookings(state_, card.id, now_);
    const Millis shortest = std::max(pairing.listing.term_min, Millis(limits::term_ms_min));
    if (!longest || *longest < shortest) return;
    const Millis whole(longest->count - longest->count % minutes(1).count);
    Candidate candidate = unchanged();
    candidate.term = std::max(whole, shortest);
    candidate.was = text_of(order_.term);
    candidate.now = text_of(candidate.term);
    const Int128 distance = apart(candidate.term.count, order_.term.count);
    offer({Constraint::booked, {}}, distance, pairing.listing, std::move(candidate));
}

/// What a rule lets through by the operator's word. What it denies no change of an order makes allowed: an
/// end use is a fact, and another one is not suggested.
void NearestChanges::offer_approval(const Pairing& pairing, const Card& card) {
    const PolicyDecision decision = policy_decision(pairing, card);
    if (decision.rule == nullptr || decision.rule->effect != PolicyEffect::needs_approval) return;
    Candidate candidate = unchanged();
    candidate.is_approved = true;
    candidate.was = fmt::format("needs an approval by {}", decision.rule->name);
    candidate.now = "approved by the operator";
    offer({Constraint::policy, {}}, 0, pairing.listing, std::move(candidate));
}

void NearestChanges::offer_requirement(const Asked& asked, const Pairing& pairing, const Card& card) {
    Candidate candidate = unchanged();
    Requirements& wanted = candidate.requirements;
    Int128 distance = 0;
    switch (asked.constraint) {
        case Constraint::listing:
            candidate.was = wanted.listing->text();
            wanted.listing.reset();
            break;
        case Constraint::host:
            candidate.was = wanted.host->text();
            wanted.host.reset();
            break;
        case Constraint::country:
            candidate.was = wanted.countries.empty() ? "not " + list_of(wanted.countries_excluded)
                                                     : list_of(wanted.countries);
            if (!wanted.countries.empty() &&
                std::ranges::find(wanted.countries, pairing.host.country) == wanted.countries.end())
                wanted.countries.push_back(pairing.host.country);
            std::erase(wanted.countries_excluded, pairing.host.country);
            candidate.now = pairing.host.country;
            break;
        case Constraint::device_class:
            candidate.was = name_of(*wanted.device_class);
            candidate.now = name_of(card.device_class);
            wanted.device_class = card.device_class;
            break;
        case Constraint::product:
            candidate.was = list_of(wanted.products);
            candidate.now = card.product;
            wanted.products.push_back(card.product);
            break;
        case Constraint::vram:
            candidate.was = text_of_bytes(*wanted.vram_bytes_min);
            wanted.vram_bytes_min = card.vram_bytes;
            candidate.now = card.vram_bytes ? text_of_bytes(*card.vram_bytes) : std::string();
            distance = apart(*order_.requirements.vram_bytes_min, card.vram_bytes.value_or(0));
            break;
        default:
            return;
    }
    offer({asked.constraint, {}}, distance, pairing.listing, std::move(candidate));
}

void NearestChanges::offer_condition(const Asked& asked, const Pairing& pairing, const Card& card) {
    Candidate candidate = unchanged();
    candidate.was = asked.condition;
    Int128 distance = 0;
    const search::Node& node = asked.query->nodes[asked.node];
    if (node.kind == search::NodeKind::condition) {
        const search::Condition& condition = asked.query->conditions[node.condition];
        const search::Facts facts = search::facts_of(pairing.state, pairing.listing, &card);
        const search::FactsRow row(facts);
        const search::Value value = row.at(*condition.field);
        candidate.now = widened(condition, asked.condition, value);
        distance = missed_by(condition, value);
    }
    const std::string text = rewritten(*asked.query, asked.node, candidate.now);
    candidate.requirements.query = text.empty() ? std::nullopt : std::optional(text);
    candidate.requirements.compiled = nullptr;
    offer({asked.constraint, asked.condition}, distance, pairing.listing, std::move(candidate));
}

void NearestChanges::kept_away(const Asked& asked, const Pairing& pairing, const Card& card) {
    if (asked.query != nullptr) return offer_condition(asked, pairing, card);
    if (is_query_alone_) return;
    switch (asked.constraint) {
        case Constraint::price: {
            const auto price = entry_price(pairing.listing, order_);
            if (!price) return;
            Candidate candidate = unchanged();
            candidate.price_max = *price;
            candidate.was = text_of(order_.price_max);
            candidate.now = text_of(*price);
            return offer({asked.constraint, {}}, price->micros_per_hour, pairing.listing,
                         std::move(candidate));
        }
        case Constraint::storage_price: {
            const ledger::Micros price = pairing.listing.storage_price;
            Candidate candidate = unchanged();
            candidate.storage_price_max = price;
            candidate.was = text_of(*order_.storage_price_max);
            candidate.now = text_of(price);
            return offer({asked.constraint, {}}, price.count, pairing.listing, std::move(candidate));
        }
        case Constraint::egress_price: {
            const ledger::Micros price = pairing.listing.egress_price;
            Candidate candidate = unchanged();
            candidate.egress_price_max = price;
            candidate.was = text_of(*order_.egress_price_max);
            candidate.now = text_of(price);
            return offer({asked.constraint, {}}, price.count, pairing.listing, std::move(candidate));
        }
        case Constraint::term:
        case Constraint::window:
        case Constraint::maintenance:
            return offer_term(asked.constraint, pairing);
        case Constraint::bundle: {
            Candidate candidate = unchanged();
            candidate.count = pairing.listing.bundle_min;
            candidate.was = fmt::format("{}", order_.count);
            candidate.now = fmt::format("{}", candidate.count);
            return offer({asked.constraint, {}}, pairing.listing.bundle_min, pairing.listing,
                         std::move(candidate));
        }
        case Constraint::share: {
            Candidate candidate = unchanged();
            candidate.thousandths = pairing.listing.share_min;
            candidate.was = text_of_share(order_.thousandths);
            candidate.now = text_of_share(candidate.thousandths);
            return offer({asked.constraint, {}}, pairing.listing.share_min, pairing.listing,
                         std::move(candidate));
        }
        case Constraint::nvlink: {
            Candidate candidate = unchanged();
            candidate.nvlink = NvlinkWish::prefer;
            candidate.was = name_of(order_.nvlink);
            candidate.now = name_of(candidate.nvlink);
            return offer({asked.constraint, {}}, 0, pairing.listing, std::move(candidate));
        }
        case Constraint::booked:
            return offer_before_booking(pairing, card);
        case Constraint::policy:
            return offer_approval(pairing, card);
        default:
            return offer_requirement(asked, pairing, card);
    }
}

void NearestChanges::too_few(const Listing& listing, std::int64_t fitting) {
    if (is_query_alone_) return;
    Candidate candidate = unchanged();
    candidate.count = static_cast<std::int32_t>(fitting);
    candidate.was = fmt::format("{}", order_.count);
    candidate.now = fmt::format("{}", fitting);
    offer({Constraint::cards, {}}, order_.count - fitting, listing, std::move(candidate));
}

void NearestChanges::too_few_hosts(const Listing& listing, std::int32_t fitting) {
    Candidate candidate = unchanged();
    candidate.hosts = fitting;
    candidate.was = fmt::format("{}", order_.hosts);
    candidate.now = fmt::format("{}", fitting);
    offer({Constraint::hosts, {}}, order_.hosts - fitting, listing, std::move(candidate));
}

/// A query alone is asked of the cards themselves: it is no order that could be matched.
std::optional<SingleChange> NearestChanges::tried_query(SingleChange change) const {
    const std::shared_ptr<const search::Query> query = change.order.requirements.compiled;
    const auto finds = [&](const Listing& listing) {
        const Pairing pairing = pair_up(state_, change.order, listing, now_);
        for (const ListingRule& rule : listing_rules())
            if ((rule.constraint == Constraint::listing_state ||
                 rule.constraint == Constraint::host_state || rule.constraint == Constraint::frozen ||
                 rule.constraint == Constraint::window || rule.constraint == Constraint::maintenance) &&
                !rule.holds(pairing))
                return false;
        return std::ranges::any_of(listing.cards, [&](const CardId id) {
            const Card* card = state_.find<Card>(id);
            if (card == nullptr || !card->is_free()) return false;
            const search::Facts facts = search::facts_of(state_, listing, card);
            return query == nullptr || search::matches(*query, search::FactsRow(facts));
        });
    };
    for (const auto& [ask, id] : state_.offers()) {
        if (!finds(state_.at<Listing>(id))) continue;
        change.listing = id;
        change.price = ask;
        change.cost = ledger::Micros(ask.micros_per_hour);
        return change;
    }
    return std::nullopt;
}

std::optional<SingleChange> NearestChanges::tried(Constraint constraint, const Candidate& candidate) const {
    SingleChange change{constraint, candidate.was, candidate.now, order_, {}, {}, {}};
    Order& order = change.order;
    order.requirements = candidate.requirements;
    order.price_max = candidate.price_max;
    order.storage_price_max = candidate.storage_price_max;
    order.egress_price_max = candidate.egress_price_max;
    order.term = candidate.term;
    order.count = candidate.count;
    order.thousandths = candidate.thousandths;
    order.hosts = candidate.hosts;
    order.nvlink = candidate.nvlink;
    order.approved = candidate.is_approved;
    if (order.requirements.query && !order.requirements.compiled) {
        auto query = search::parse_query(*order.requirements.query);
        if (!query) return std::nullopt;
        order.requirements.compiled = std::make_shared<const search::Query>(std::move(*query));
    }
    if (is_query_alone_) return tried_query(std::move(change));
    const auto match = find_match(state_, order, now_);
    if (!match) return std::nullopt;
    change.listing = match->members.front().listing;
    change.price = price_of(state_, change.listing, order);
    change.cost = cost_of(state_, *match, order);
    return change;
}

std::vector<SingleChange> NearestChanges::take() {
    std::vector<SingleChange> changes;
    for (const auto& [key, nearest] : candidates_) {
        for (const auto& [distance, candidate] : nearest) {
            auto change = tried(key.first, candidate);
            if (!change) continue;
            changes.push_back(*std::move(change));
            break;
        }
    }
    std::stable_sort(changes.begin(), changes.end(), [](const SingleChange& a, const SingleChange& b) {
        return std::tie(a.cost, a.price) < std::tie(b.cost, b.price);
    });
    if (changes.size() > limits::explained_changes_max) changes.resize(limits::explained_changes_max);
    return changes;
}

}  // namespace fallow::market

#include "support/state_text.hpp"

#include <map>
#include <set>

#include "support/row_text.hpp"

namespace fallow::testing {

namespace {

using Facts = std::map<std::string, std::string>;

template <class Row>
void add_rows(Facts& facts, const market::State& state) {
    for (const auto& [key, row] : state.table<Row>()) {
        const std::string text = row_text(row);
        facts[std::string(Row::table) + ' ' + text.substr(0, text.find(' '))] = text;
    }
}

Facts rows_of(const market::State& state) {
    Facts facts;
    add_rows<market::Organization>(facts, state);
    add_rows<ledger::Account>(facts, state);
    add_rows<market::Host>(facts, state);
    add_rows<market::Card>(facts, state);
    add_rows<market::Listing>(facts, state);
    add_rows<market::Order>(facts, state);
    add_rows<market::Lease>(facts, state);
    add_rows<market::Job>(facts, state);
    add_rows<market::Reservation>(facts, state);
    add_rows<market::Booking>(facts, state);
    add_rows<market::Freeze>(facts, state);
    add_rows<market::Settings>(facts, state);
    add_rows<market::Policy>(facts, state);
    add_rows<market::PolicyApproval>(facts, state);
    add_rows<market::SpotPool>(facts, state);
    add_rows<market::LeaseSegment>(facts, state);
    return facts;
}

template <class Ids>
std::string joined_ids(const Ids& ids) {
    std::string text;
    for (const auto& id : ids)
        text += id.text() + ' ';
    return text;
}

std::string text_of_due(const market::State::Due& due) {
    return std::to_string(due.first.ms) + ' ' +
           std::visit([](const auto& id) { return id.text(); }, due.second);
}

// What the indexes of `state` answer about everything that exists in it or in `universe`.
void add_index_facts(Facts& facts, const market::State& state, const market::State& universe) {
    for (const auto& [id, row] : universe.table<market::Organization>()) {
        facts["name_taken " + row.name] = state.name_taken(row.name) ? "yes" : "no";
        facts["standing_orders " + id.text()] = std::to_string(state.standing_orders(id));
        facts["open_reservations " + id.text()] = std::to_string(state.open_reservations(id));
    }
    for (const auto& [id, row] : universe.table<market::Host>()) {
        facts["host_name_taken " + row.organization.text() + row.name] =
            state.host_name_taken(row.organization, row.name) ? "yes" : "no";
        facts["cards_of " + id.text()] = joined_ids(state.cards_of(id));
        facts["live_leases_of " + id.text()] = joined_ids(state.live_leases_of(id));
    }
    for (const auto& [id, row] : universe.table<market::Card>()) {
        const auto listing = state.listing_of(id);
        facts["listing_of " + id.text()] = listing ? listing->text() : "none";
        const auto tenant = state.tenant_of(id);
        facts["tenant_of " + id.text()] = tenant ? tenant->text() : "nobody";
        for (const auto& [start, booking] : state.bookings_of(id))
            facts["bookings_of " + id.text()] += std::to_string(start.ms) + ' ' + booking.text() + ' ';
    }
    for (const auto& [id, row] : universe.table<market::Lease>()) {
        const auto reservation = state.reservation_of(id);
        facts["reservation_of " + id.text()] = reservation ? reservation->text() : "none";
    }
    for (const auto& [id, row] : universe.table<market::Lease>())
        facts["segments_of " + id.text()] = std::to_string(state.segments_of(id).size());
    for (const auto& [id, row] : universe.table<market::Listing>()) {
        facts["free_cards " + id.text()] = std::to_string(state.free_cards(id));
        std::string& parts = facts["part_cards " + id.text()];
        for (const auto& [used, index, card] : state.part_cards_of(id))
            parts += std::to_string(used) + ' ' + std::to_string(index) + ' ' + card.text() + ' ';
    }
    for (const auto& [id, row] : universe.table<market::Order>()) {
        std::string& gang = facts["gang " + id.text()];
        for (const auto& [rank, lease] : state.leases_of(id))
            gang += std::to_string(rank) + ' ' + lease.text() + ' ';
        for (const auto& [rank, job] : state.jobs_of(id))
            gang += std::to_string(rank) + ' ' + job.text() + ' ';
    }
    for (const auto& [id, row] : universe.table<market::Organization>())
        facts["listings_of " + id.text()] = joined_ids(state.listings_of(id));
    for (const auto& [id, row] : universe.table<market::Freeze>())
        facts["is_frozen " + row.target] = state.is_frozen(row.kind, row.target) ? "yes" : "no";
    for (const auto& [id, row] : universe.table<market::PolicyApproval>())
        facts["is_approved " + row.organization.text() + row.model] =
            state.is_approved(row.organization, row.model) ? "yes" : "no";
}

Facts indexes_of(const market::State& state, const market::State& universe) {
    Facts facts;
    add_index_facts(facts, state, state);
    add_index_facts(facts, state, universe);
    for (const auto& [id, row] : state.table<ledger::Account>())
        facts["account " + row.organization.text() + std::string(name_of(row.kind))] =
            state.account(row.organization, row.kind).id.text();
    facts["live_leases"] = joined_ids(state.live_leases());
    facts["policy"] =
        std::to_string(state.policy().version) + ' ' + std::to_string(state.policy().rules->size());
    facts["active_leases"] = std::to_string(state.active_leases());
    for (const auto& [ask, id] : state.offers())
        facts["offers"] += std::to_string(ask.micros_per_hour) + ' ' + id.text() + ' ';
    for (const auto& [ask, id] : state.committed())
        facts["committed"] += std::to_string(ask.micros_per_hour) + ' ' + id.text() + ' ';
    for (const auto& [ask, id] : state.share_offers())
        facts["share_offers"] += std::to_string(ask.micros_per_hour) + ' ' + id.text() + ' ';
    for (const auto& [price, placed, id] : state.demands())
        facts["demands"] += std::to_string(price) + ' ' + std::to_string(placed.ms) + ' ' + id.text() + ' ';
    for (const auto& [shape, count] : state.asked_for())
        facts["asked_for " + std::to_string(shape.cards) + 'x' + std::to_string(shape.thousandths)] =
            std::to_string(count);
    for (const auto& [floor, id] : state.spot_offers())
        facts["spot_offers"] += std::to_string(floor.micros_per_hour) + ' ' + id.text() + ' ';
    for (const auto& [bid, since, id] : state.bids())
        facts["bids"] += std::to_string(bid) + ' ' + std::to_string(since.ms) + ' ' + id.text() + ' ';
    for (const auto& [bid, newest, id] : state.spot_holdings())
        facts["spot_holdings"] += std::to_string(bid) + ' ' + id.text() + ' ';
    for (const auto& [card, order] : state.promises())
        facts["promises"] += card.text() + ' ' + order.text() + ' ';
    for (const auto& [name, id] : state.spot_pools())
        facts["spot_pools"] += name + ' ' + id.text() + ' ';
    facts["spot_listings"] = joined_ids(state.spot_listings());
    for (const market::State::Due& due : state.due())
        facts["due"] += text_of_due(due) + ' ';
    return facts;
}

// The facts that are not the same, as text; empty when all are.
std::string difference(const Facts& found, const Facts& expected) {
    std::string text;
    for (const auto& [name, value] : found) {
        const auto at = expected.find(name);
        if (at == expected.end())
            text += "unexpected " + name + ": " + value + '\n';
        else if (at->second != value)
            text += name + "\n  is        " + value + "\n  should be " + at->second + '\n';
    }
    for (const auto& [name, value] : expected)
        if (!found.contains(name)) text += "missing " + name + ": " + value + '\n';
    return text;
}

template <class Row>
void copy_rows(market::State& to, const market::State& from) {
    for (const auto& [key, row] : from.table<Row>())
        to.replace<Row>(nullptr, &row);
}

// The same rows with every index built from scratch.
market::State rebuilt(const market::State& state) {
    market::State fresh(state.rules());
    copy_rows<market::Settings>(fresh, state);
    copy_rows<market::Organization>(fresh, state);
    copy_rows<ledger::Account>(fresh, state);
    copy_rows<market::Host>(fresh, state);
    copy_rows<market::Card>(fresh, state);
    copy_rows<market::Listing>(fresh, state);
    copy_rows<market::Order>(fresh, state);
    copy_rows<market::Job>(fresh, state);
    copy_rows<market::Lease>(fresh, state);
    copy_rows<market::Reservation>(fresh, state);
    copy_rows<market::Booking>(fresh, state);
    copy_rows<market::Freeze>(fresh, state);
    copy_rows<market::Policy>(fresh, state);
    copy_rows<market::PolicyApproval>(fresh, state);
    copy_rows<market::SpotPool>(fresh, state);
    copy_rows<market::LeaseSegment>(fresh, state);
    return fresh;
}

}  // namespace

std::string difference(const market::State& found, const market::State& expected) {
    return difference(rows_of(found), rows_of(expected)) +
           difference(indexes_of(found, expected), indexes_of(expected, found));
}

std::string index_errors(const market::State& state) {
    const market::State fresh = rebuilt(state);
    return difference(indexes_of(state, fresh), indexes_of(fresh, state));
}

}  // namespace fallow::testing

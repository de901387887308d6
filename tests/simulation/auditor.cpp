// The rules that hold after every transaction.
#include "simulation/auditor.hpp"

#include "engine/journal.hpp"

namespace fallow::sim {
namespace {

using ledger::AccountKind;
using ledger::TransferReason;
using market::LeaseState;

void require(bool holds, const char* rule, const std::string& detail) {
    if (!holds) throw Violation(rule, detail);
}

/// What the design allows: state to state, "-" before the first.
const std::set<std::string> allowed_transitions{
    "hosts -→enrolled", "hosts enrolled→online", "hosts online→unreachable", "hosts unreachable→online",
    "hosts online→draining", "hosts unreachable→draining", "hosts draining→online",
    "hosts draining→unreachable", "listings -→open", "listings open→paused", "listings paused→open",
    "listings open→withdrawn", "listings paused→withdrawn", "orders -→standing", "orders -→filled",
    "orders -→rejected", "orders standing→filled", "orders standing→cancelled", "orders standing→expired",
    // A batch writes each row once: what happened in between is one step in the database.
    "orders -→cancelled", "orders -→expired", "jobs -→failed", "jobs -→running", "leases -→allocated",
    "leases -→ended", "leases allocated→preparing", "leases allocated→ended", "leases preparing→running",
    "leases preparing→reclaiming", "leases preparing→ended", "leases running→reclaiming",
    "leases running→ended", "leases reclaiming→ended", "leases allocated→reclaiming",
    "leases allocated→running", "jobs -→queued", "jobs -→assigned", "jobs -→cancelled",
    "jobs queued→assigned", "jobs queued→cancelled", "jobs queued→failed", "jobs assigned→running",
    "jobs assigned→queued", "jobs assigned→failed", "jobs assigned→cancelled", "jobs running→succeeded",
    "jobs running→failed", "jobs running→cancelled", "jobs running→queued", "jobs assigned→succeeded",
    "jobs assigned→assigned", "jobs running→assigned", "reservations -→booked",
    "reservations booked→started", "reservations booked→cancelled", "reservations booked→broken",
    "reservations booked→failed", "reservations booked→sold", "reservations started→ended",
    "reservations booked→ended", "reservations -→cancelled", "reservations -→broken",
    "reservations -→sold"};

}  // namespace

void Auditor::committed(const engine::Batch& batch) {
    for (const market::JobSpec& spec : batch.changes.job_specs.inserts)
        machines_.programs[spec.job.text()] = machines_.plans.at(spec.document);
    check_journal(batch);
    check_transitions(batch.changes);
    check_lost_hosts(batch.changes);
    check_spot(batch.changes);
    for (; transfers_seen_ < database_.rows().transfers().size(); ++transfers_seen_) {
        const ledger::Transfer& row = database_.rows().transfers()[transfers_seen_];
        balances_[row.debit] -= row.amount.count;
        balances_[row.credit] += row.amount.count;
        if (row.lease) moved_[*row.lease][row.reason] += row.amount.count;
        if (row.reservation) moved_for_[*row.reservation][row.reason] += row.amount.count;
    }
    check_ledger();
    check_cards();
    const auto check_all = [&](const auto& writes) {
        for (const market::Lease& lease : writes.inserts)
            check_lease(lease);
        for (const market::Lease& lease : writes.updates)
            check_lease(lease);
    };
    check_all(batch.changes.leases);
    for (const auto* rows : {&batch.changes.reservations.inserts, &batch.changes.reservations.updates})
        for (const market::Reservation& row : *rows)
            check_reservation(row);
    check_bookings();
}

void Auditor::check_journal(const engine::Batch& batch) {
    const engine::JournalRecord& record = batch.journal;
    require(record.sequence == static_cast<std::int64_t>(database_.journal().size()), "journal_in_order",
            std::to_string(record.sequence));
    require(record.epoch >= epoch_ && record.epoch == database_.epoch(), "leader_alone_writes",
            "epoch " + std::to_string(record.epoch) + " of " + std::to_string(database_.epoch()));
    require(record.at >= last_at_, "time_never_goes_back", std::to_string(record.at.ms));
    chain_ = engine::sha256_hex(chain_ + record.record);
    require(record.chain_hex == chain_, "journal_chain", std::to_string(record.sequence));
    epoch_ = record.epoch;
    last_at_ = record.at;
}

void Auditor::check_transitions(const market::Changes& changes) {
    const auto look = [&](const auto& row, const std::string& state) {
        std::string& known = states_[row.id.text()];
        const std::string before = known.empty() ? "-" : known;
        if (before == state) return;
        using Row = std::decay_t<decltype(row)>;
        const std::string step = std::string(Row::table) + ' ' + before + "→" + state;
        require(allowed_transitions.contains(step), "states", step + " of " + row.id.text());
        world_.note("  {} of {}", step, row.id.text());
        world_.hit("transition " + step);
        known = state;
    };
    const auto look_at_all = [&](const auto& writes) {
        for (const auto* rows : {&writes.inserts, &writes.updates})
            for (const auto& row : *rows)
                look(row, std::string(name_of(row.state)));
    };
    look_at_all(changes.hosts);
    look_at_all(changes.listings);
    look_at_all(changes.orders);
    look_at_all(changes.jobs);
    look_at_all(changes.leases);
    look_at_all(changes.reservations);
    for (const auto* rows : {&changes.leases.inserts, &changes.leases.updates})
        for (const market::Lease& lease : *rows)
            if (lease.state == LeaseState::ended && !lease.released)
                world_.hit("end " + std::string(name_of(*lease.end_reason)));
            else if (lease.state == LeaseState::ended)
                world_.hit("end " + std::string(name_of(*lease.end_reason)));
}

/// Nobody is lost because a leader changed: a full lost-window of silence, of this leader's own time.
void Auditor::check_lost_hosts(const market::Changes& changes) {
    for (const market::Host& host : changes.hosts.updates) {
        if (!host.unreachable_since || host.version < 2) continue;
        const std::string mark = "lost " + host.id.text();
        const std::string since = std::to_string(host.unreachable_since->ms);
        if (states_[mark] == since) continue;
        states_[mark] = since;
        // The clocks of two servers differ by less than a second; what comes within it may cross the
        // decision.
        const Time decided = *host.unreachable_since;
        for (const Time heard : heard_[host.id])
            require(heard <= decided - seconds(14) || heard >= decided - seconds(1),
                    "host_lost_only_when_silent", host.id.text() + " was heard just now");
        require(world_.now() - database_.taken_at() >= seconds(14), "host_lost_only_when_silent",
                host.id.text() + " by a leader that is new");
    }
}

void Auditor::check_ledger() const {
    std::int64_t sum = 0;
    std::map<OrganizationId, std::int64_t> held;
    for (const auto& [id, lease] : rows<market::Lease>())
        held[lease.renter] += lease.held.count;
    for (const auto& [id, row] : rows<market::Reservation>()) {
        held[row.renter] += row.deposit.count;
        held[row.seller] += row.bond.count;
    }
    for (const auto& [id, account] : rows<ledger::Account>()) {
        sum += account.balance.count;
        const auto moved = balances_.find(id);
        require(account.balance.count == (moved == balances_.end() ? 0 : moved->second),
                "balance_is_its_transfers", id.text());
        require(account.kind == AccountKind::external || account.balance.count >= 0, "floor", id.text());
        if (account.kind == AccountKind::held)
            require(account.balance.count == held[account.organization], "held_is_what_leases_hold",
                    account.organization.text());
    }
    require(sum == 0, "sums_zero", std::to_string(sum));
}

void Auditor::check_cards() const {
    std::map<CardId, int> used;
    std::map<CardId, OrganizationId> tenants;
    for (const auto& [key, row] : database_.rows().lease_cards()) {
        if (row.released) continue;
        used[row.card] += row.thousandths;
        const OrganizationId renter = rows<market::Lease>().at(row.lease).renter;
        const auto [tenant, is_first] = tenants.emplace(row.card, renter);
        require(tenant->second == renter, "one_tenant_a_card", row.card.text());
        if (!is_first) world_.hit("shares beside each other");
    }
    for (const auto& [card, thousandths] : used)
        require(thousandths <= 1000, "card_capacity", card.text());
}

void Auditor::check_lease(const market::Lease& lease) const {
    const std::string id = lease.id.text();
    const auto found = moved_.find(lease.id);
    const auto moved = [&](TransferReason reason) -> std::int64_t {
        if (found == moved_.end()) return 0;
        const auto at = found->second.find(reason);
        return at == found->second.end() ? 0 : at->second;
    };
    const Int128 numerator = numerator_of(lease);
    const auto charged = static_cast<std::int64_t>(numerator / 3'600'000'000);
    const auto fee = static_cast<std::int64_t>(static_cast<Int128>(charged) * lease.fee_ppm / 1'000'000);
    require(lease.meter.charged.count == charged, "charge_is_the_time_run", id);
    require(moved(TransferReason::fee) == fee, "fee_reaches_the_operator", id);
    require(moved(TransferReason::charge) == charged - fee, "seller_gets_the_rest", id);
    const std::int64_t left = moved(TransferReason::hold) - moved(TransferReason::release) -
                              moved(TransferReason::charge) - moved(TransferReason::fee);
    require(left == lease.held.count, "hold_is_accounted_for", id);
    require(lease.state != LeaseState::ended || left == 0, "holds_released", id);
    if (lease.state == LeaseState::ended)
        require(database_.receipts().contains(lease.id), "receipt_at_the_end", id);
    const market::Order& order = rows<market::Order>().at(lease.order);
    if (order.pricing == market::OrderPricing::fixed)
        require(lease.price <= order.price_max, "price_within_limit_or_quote", id);
    if (order.storage_price_max)
        require(lease.storage_price <= *order.storage_price_max, "storage_within_limit_or_quote", id);
    if (order.stored_gib_max)
        require(lease.storage_bytes <= *order.stored_gib_max << 30, "storage_within_quote", id);
    const auto without_storage = static_cast<std::int64_t>(
        (numerator - static_cast<Int128>(lease.rate().storage_nanos_per_hour) * lease.meter.running.count) /
        3'600'000'000);
    if (without_storage < charged) world_.hit("storage is charged");
    if (order.quote && order.is_gang()) world_.hit("a quoted gang");
    if (order.quote && order.is_for_share()) world_.hit("a quoted share");
    check_metering(lease);
    check_traffic(lease);
    check_maintenance(lease);
    if (lease.spot_floor) check_bid(lease);
}

/// None is made while its host is out of service, nor one that would run into it.
void Auditor::check_maintenance(const market::Lease& lease) const {
    const market::Host& host = rows<market::Host>().at(lease.host);
    if (!host.maintenance_from || lease.allocated_at >= *host.maintenance_until) return;
    const std::string id = lease.id.text();
    require(lease.allocated_at < *host.maintenance_from, "no_lease_within_maintenance", id);
    const bool is_bounded = (lease.maintenance_at && *lease.maintenance_at <= *host.maintenance_from) ||
                            (lease.ends_by && *lease.ends_by <= *host.maintenance_from);
    const bool is_over_by_itself =
        lease.running_at && *lease.running_at + lease.term <= *host.maintenance_from;
    require(is_bounded || is_over_by_itself || lease.stop_reason, "no_lease_reaches_into_maintenance", id);
}

/// What is held, kept and paid is what was moved, and a block that is over holds nothing.
void Auditor::check_reservation(const market::Reservation& row) const {
    const std::string id = row.id.text();
    const auto found = moved_for_.find(row.id);
    const auto moved = [&](TransferReason reason) -> std::int64_t {
        if (found == moved_for_.end()) return 0;
        const auto at = found->second.find(reason);
        return at == found->second.end() ? 0 : at->second;
    };
    using enum TransferReason;
    require(moved(reserve) - moved(unreserve) == row.deposit.count, "deposit_is_accounted_for", id);
    require(moved(bond) - moved(unbond) - moved(penalty) == row.bond.count, "bond_is_accounted_for", id);
    require(moved(penalty) == row.penalty.count, "penalty_is_paid", id);
    require(moved(kept) + moved(kept_fee) == row.kept.count, "kept_is_shared", id);
    if (row.is_open()) return;
    require(row.deposit.count == 0 && row.bond.count == 0, "holds_released", id);
    world_.hit("reservation " + std::string(name_of(*row.reason)));
}

/// An open reservation has its cards' time, nobody else has, and what is over has none.
void Auditor::check_bookings() const {
    std::map<ReservationId, std::size_t> booked;
    std::map<CardId, std::map<Time, Time>> spans;
    for (const auto& [id, row] : rows<market::Booking>()) {
        const market::Reservation& reservation = rows<market::Reservation>().at(row.reservation);
        require(reservation.is_open(), "time_is_given_back", row.reservation.text());
        require(reservation.starts_at == row.starts_at && reservation.ends_at == row.ends_at,
                "bookings_are_the_block", row.reservation.text());
        ++booked[row.reservation];
        require(spans[row.card].emplace(row.starts_at, row.ends_at).second, "bookings_apart",
                row.card.text());
    }
    for (const auto& [id, row] : rows<market::Reservation>())
        if (row.is_open()) require(booked[id] == row.cards.size(), "bookings_are_the_block", id.text());
    for (const auto& [card, of_card] : spans) {
        std::optional<Time> last;
        for (const auto& [start, end] : of_card) {
            require(!last || start >= *last + rules_.reclaim_deadline, "bookings_apart", card.text());
            last = end;
        }
    }
}

/// Never more than what the server's own clock saw, and of an honest host never more than what ran.
void Auditor::check_metering(const market::Lease& lease) const {
    if (lease.meter.running.count == 0) return;
    const std::string id = lease.id.text();
    require(lease.running_at.has_value(), "only_running_bills", id);
    const Time end = lease.reclaiming_at.value_or(lease.ended_at.value_or(last_at_));
    require(lease.meter.running <= end - *lease.running_at + rules_.heartbeat, "server_clock_bounds_time",
            id + " was charged " + std::to_string(lease.meter.running.count));
    require(lease.meter.running <= lease.term, "term_bounds_time", id);
    if (hosts_.at(lease.host)->is_lying) return;
    const Container& container = machines_.containers.at(*lease.container);
    // A statement may be under way while the container exits: a round of the agent, and a lane's delay.
    const Millis slack = seconds(2);
    require(lease.meter.running <= container.ran_until(world_.now()) + slack, "only_proved_time_charged",
            id + " ran " + std::to_string(container.ran_until(world_.now()).count) +
                " ms and was charged " + std::to_string(lease.meter.running.count));
}

void Auditor::answered(const engine::IdempotencyKey& key, const Answer& answer) {
    if (answer.status == 500) {
        require(may_quarantine_ && answer.body == "quarantined", "nothing_is_refused_by_the_database",
                key.route + ' ' + answer.body);
        world_.hit("answer quarantined");
        return;
    }
    if (answer.status > 500) return;
    const std::string reply = std::to_string(answer.status) + ' ' + answer.body;
    const auto [known, is_first] = replies_.emplace(key.key, reply);
    require(known->second == reply, "twins_get_the_same_bytes",
            key.key + " got " + known->second + ", then " + reply);
    const engine::IdempotencyRecord* stored = database_.find(key);
    require(stored != nullptr && stored->reply == answer.body && stored->status == answer.status,
            "acknowledged_is_durable", key.route + ' ' + key.key + ": " + reply);
    if (answer.replayed) world_.hit("answer replayed");
}

std::map<std::string, int> Auditor::phases(std::optional<HostId> host) const {
    std::map<std::string, int> found;
    for (const auto& [id, lease] : rows<market::Lease>())
        if (!lease.released && (!host || lease.host == *host)) ++found[std::string(name_of(lease.state))];
    return found;
}

}  // namespace fallow::sim

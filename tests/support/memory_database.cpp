#include "support/memory_database.hpp"

namespace fallow::testing {

MemoryDatabase::MemoryDatabase() {
    put(market::Organization{market::platform_organization, "platform", "ZZ",
                             market::OrganizationStatus::active, Time(0), 1});
    put(ledger::Account{market::platform_external, market::platform_organization,
                        ledger::AccountKind::external, ledger::Micros(0)});
    put(ledger::Account{market::platform_fees, market::platform_organization, ledger::AccountKind::fees,
                        ledger::Micros(0)});
    put(market::Settings{});
}

void MemoryDatabase::apply(const market::Changes& changes) {
    undo_.clear();
    try {
        market::Changes::each(changes, [&](const auto& writes) { write(writes); });
    } catch (...) {
        roll_back();
        throw;
    }
}

void MemoryDatabase::roll_back() {
    for (auto step = undo_.rbegin(); step != undo_.rend(); ++step)
        (*step)(*this);
    undo_.clear();
}

void MemoryDatabase::check() const {
    for (const auto& [id, row] : rows<ledger::Account>())
        if (row.balance < ledger::floor_of(row.kind)) fail("accounts", "accounts_balance_floor");
    for (const auto& [id, row] : rows<market::Card>())
        if (row.used < 0 || row.used > 1000) fail("cards", "cards_used_within_card");
    check_bookings();
    std::set<JobId> busy;
    for (const auto& [id, row] : rows<market::Lease>()) {
        check(row);
        if (row.job && row.state != market::LeaseState::ended && !busy.insert(*row.job).second)
            fail("leases", "leases_one_per_job");
    }
    for (const auto& [id, row] : rows<market::LeaseSegment>())
        if (row.price > row.bid) fail("lease_segments", "lease_segments_price_within_bid");
}

const std::map<std::pair<LeaseId, CardId>, market::LeaseCard>& MemoryDatabase::lease_cards() const {
    return lease_cards_;
}

engine::LoadedMarket MemoryDatabase::load() const {
    engine::LoadedMarket loaded;
    loaded.settings = rows<market::Settings>().begin()->second;
    copy(loaded.organizations);
    copy(loaded.accounts);
    copy(loaded.hosts);
    copy(loaded.cards);
    copy(loaded.freezes);
    copy(loaded.policies);
    copy(loaded.policy_approvals);
    copy(loaded.spot_pools);
    for (const auto& [id, row] : rows<market::Listing>())
        if (row.state != market::ListingState::withdrawn) loaded.listings.push_back(row);
    std::set<OrderId> live_orders;
    std::set<JobId> live_jobs;
    for (const auto& [id, row] : rows<market::Lease>()) {
        if (row.released) continue;
        loaded.leases.push_back(row);
        live_orders.insert(row.order);
        if (row.job) live_jobs.insert(*row.job);
    }
    for (const auto& [id, row] : rows<market::Order>())
        if (row.state == market::OrderState::standing || live_orders.contains(id))
            loaded.orders.push_back(row);
    for (const auto& [id, row] : rows<market::Job>())
        if (!row.finished_at || live_jobs.contains(id)) loaded.jobs.push_back(row);
    for (const auto& [id, row] : rows<market::LeaseSegment>())
        if (!rows<market::Lease>().at(row.lease).released) loaded.lease_segments.push_back(row);
    for (const auto& [id, row] : rows<market::Reservation>())
        if (row.is_open()) loaded.reservations.push_back(row);
    copy(loaded.bookings);
    return loaded;
}

void MemoryDatabase::write(const market::RowWrites<ledger::Transfer>& writes) {
    for (const ledger::Transfer& row : writes.inserts) {
        move(row.debit, -row.amount.count);
        move(row.credit, row.amount.count);
        append(&MemoryDatabase::transfers_, row);
    }
}

void MemoryDatabase::write(const market::RowWrites<market::LeaseCard>& writes) {
    for (const market::LeaseCard& row : writes.updates) {
        market::LeaseCard& known = lease_cards_.at({row.lease, row.card});
        undo_.push_back([before = known](MemoryDatabase& self) {
            self.lease_cards_.at({before.lease, before.card}) = before;
        });
        use(row.card, (row.released ? 0 : row.thousandths) - (known.released ? 0 : known.thousandths));
        known = row;
    }
    for (const market::LeaseCard& row : writes.inserts) {
        const std::pair key{row.lease, row.card};
        if (!lease_cards_.emplace(key, row).second) fail("lease_cards", "inserts a row twice");
        undo_.push_back([key](MemoryDatabase& self) { self.lease_cards_.erase(key); });
        if (!row.released) use(row.card, row.thousandths);
    }
}

void MemoryDatabase::write(const market::RowWrites<market::Usage>& writes) {
    for (const market::Usage& row : writes.inserts) {
        const std::pair key{row.lease, row.sequence};
        if (!usage_keys_.insert(key).second) fail("usage_statements", "usage_statements_pkey");
        undo_.push_back([key](MemoryDatabase& self) { self.usage_keys_.erase(key); });
        append(&MemoryDatabase::usage_, row);
    }
}

void MemoryDatabase::write(const market::RowWrites<market::JobSpec>& writes) {
    for (const market::JobSpec& row : writes.inserts)
        append(&MemoryDatabase::job_specs_, row);
}

void MemoryDatabase::write(const market::RowWrites<market::SpotPrice>& writes) {
    for (const market::SpotPrice& row : writes.inserts) {
        if (!spot_prices_.emplace(std::pair{row.pool, row.at}, row).second)
            fail("spot_prices", "spot_prices_pkey");
        undo_.push_back(
            [key = std::pair{row.pool, row.at}](MemoryDatabase& self) { self.spot_prices_.erase(key); });
    }
}

void MemoryDatabase::use(CardId card, std::int32_t by) {
    rows<market::Card>().at(card).used += by;
    undo_.push_back([card, by](MemoryDatabase& self) { self.rows<market::Card>().at(card).used -= by; });
}

void MemoryDatabase::move(AccountId account, std::int64_t by) {
    rows<ledger::Account>().at(account).balance.count += by;
    undo_.push_back([account, by](MemoryDatabase& self) {
        self.rows<ledger::Account>().at(account).balance.count -= by;
    });
}

void MemoryDatabase::check(const market::Lease& row) {
    const bool is_ended = row.state == market::LeaseState::ended;
    const bool is_ending = is_ended || row.state == market::LeaseState::reclaiming;
    if (row.end_reason.has_value() != is_ending) fail("leases", "leases_end_reason_when_ending");
    if (row.ended_at.has_value() != is_ended) fail("leases", "leases_ended_at_when_ended");
    if (row.released && !is_ended) fail("leases", "leases_released_after_end");
    if (is_ended && row.held.count != 0) fail("leases", "leases_ended_holds_nothing");
    if (row.held.count < 0) fail("leases", "leases_held_not_negative");
    if (row.meter.charged.count != row.meter.numerator / ledger::numerator_per_micro)
        fail("leases", "leases_charge_exact");
    const Int128 storage = static_cast<Int128>(row.storage_price.count) * row.storage_bytes * 1000 /
                           (Int128{730} << 30) * row.meter.running.count;
    const Int128 cards =
        static_cast<Int128>(row.price.micros_per_hour) * row.thousandths * row.meter.running.count;
    const Int128 traffic = static_cast<Int128>(row.egress_price.count) * row.meter.egress_mib * 3'515'625;
    const Int128 besides = storage + traffic;
    if (row.spot_floor ? row.meter.numerator < besides : row.meter.numerator != cards + besides)
        fail("leases", "leases_sum_exact");
    if (row.meter.egress_mib > row.egress_mib_max.value_or(row.meter.egress_mib) ||
        row.meter.egress_mib > row.egress_bytes_claimed >> 20)
        fail("leases", "leases_traffic_within_limits");
    if (row.egress_mib_max.has_value() != (row.egress_price.count > 0))
        fail("leases", "leases_traffic_limited_where_priced");
    if (row.meter.fee != ledger::fee_of(row.meter.charged, row.fee_ppm)) fail("leases", "leases_fee_exact");
}

void MemoryDatabase::check_bookings() const {
    std::map<CardId, std::map<Time, Time>> spans;
    for (const auto& [id, row] : rows<market::Booking>()) {
        if (row.ends_at <= row.starts_at) fail("bookings", "bookings_time_in_order");
        if (!spans[row.card].emplace(row.starts_at, row.ends_at).second)
            fail("bookings", "bookings_no_overlap");
    }
    for (const auto& [card, of_card] : spans) {
        std::optional<Time> last;
        for (const auto& [start, end] : of_card) {
            if (last && start < *last) fail("bookings", "bookings_no_overlap");
            last = end;
        }
    }
}

void MemoryDatabase::fail(std::string_view table, const std::string& what) {
    throw ConstraintViolated(std::string(table) + ": " + what);
}

}  // namespace fallow::testing

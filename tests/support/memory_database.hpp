// The rows that a market leaves behind, kept as PostgreSQL would keep them: balances move by transfers
// alone, cards.used by lease cards alone. What a constraint would refuse is refused here too.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "engine/store.hpp"
#include "market/state.hpp"
#include "support/row_text.hpp"

namespace fallow::testing {

/// What a constraint of the database would say.
struct ConstraintViolated : std::runtime_error {
    using std::runtime_error::runtime_error;
};

class MemoryDatabase {
  public:
    template <class Row>
    using Rows = std::map<typename market::KeyOf<Row>::type, Row>;

    /// The rows of the first migrations.
    MemoryDatabase() {
        put(market::Organization{market::platform_organization, "platform", "ZZ",
                                 market::OrganizationStatus::active, Time(0), 1});
        put(ledger::Account{market::platform_external, market::platform_organization,
                            ledger::AccountKind::external, ledger::Micros(0)});
        put(ledger::Account{market::platform_fees, market::platform_organization, ledger::AccountKind::fees,
                            ledger::Micros(0)});
        put(market::Settings{});
    }

    /// All or nothing: what was written before a ConstraintViolated is taken back.
    void apply(const market::Changes& changes) {
        undo_.clear();
        try {
            market::Changes::each(changes, [&](const auto& writes) { write(writes); });
        } catch (...) {
            roll_back();
            throw;
        }
    }
    /// Takes the last apply() back.
    void roll_back() {
        for (auto step = undo_.rbegin(); step != undo_.rend(); ++step)
            (*step)(*this);
        undo_.clear();
    }
    /// The constraints that look at whole rows.
    void check() const {
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

    template <class Row>
    [[nodiscard]] const Rows<Row>& rows() const {
        return std::get<Rows<Row>>(tables_);
    }
    template <class Row>
    [[nodiscard]] Rows<Row>& rows() {
        return std::get<Rows<Row>>(tables_);
    }
    [[nodiscard]] const std::vector<ledger::Transfer>& transfers() const { return transfers_; }
    [[nodiscard]] const std::map<std::pair<LeaseId, CardId>, market::LeaseCard>& lease_cards() const {
        return lease_cards_;
    }
    [[nodiscard]] const std::vector<market::Usage>& usage() const { return usage_; }
    [[nodiscard]] const std::vector<market::JobSpec>& job_specs() const { return job_specs_; }
    using SpotPrices = std::map<std::pair<SpotPoolId, Time>, market::SpotPrice>;
    [[nodiscard]] const SpotPrices& spot_prices() const { return spot_prices_; }

    /// What server/store/market_store.cpp selects for a new leader.
    [[nodiscard]] engine::LoadedMarket load() const {
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

  private:
    template <class Row>
    void put(const Row& row) {
        rows<Row>().emplace(market::KeyOf<Row>::of(row), row);
    }
    template <class Row>
    void copy(std::vector<Row>& out) const {
        for (const auto& [key, row] : rows<Row>())
            out.push_back(row);
    }

    template <class Row>
    void write(const market::RowWrites<Row>& writes) {
        auto& table = rows<Row>();
        for (const Row& row : writes.removes) {
            const auto at = table.find(market::KeyOf<Row>::of(row));
            if (at == table.end()) fail(Row::table, "removes a row that is not there");
            undo_.push_back([known = at->second](MemoryDatabase& self) { self.put(known); });
            table.erase(at);
        }
        for (const Row& row : writes.updates) {
            const auto at = table.find(market::KeyOf<Row>::of(row));
            if (at == table.end()) fail(Row::table, "updates a row that is not there");
            undo_.push_back([key = at->first, known = at->second](MemoryDatabase& self) {
                self.rows<Row>().insert_or_assign(key, known);
            });
            at->second = without_derived(row, at->second);
        }
        for (const Row& row : writes.inserts) {
            const auto key = market::KeyOf<Row>::of(row);
            if (!table.emplace(key, without_derived(row, Row{})).second)
                fail(Row::table, "inserts a row twice");
            undo_.push_back([key](MemoryDatabase& self) { self.rows<Row>().erase(key); });
        }
    }
    void write(const market::RowWrites<ledger::Transfer>& writes) {
        for (const ledger::Transfer& row : writes.inserts) {
            move(row.debit, -row.amount.count);
            move(row.credit, row.amount.count);
            append(&MemoryDatabase::transfers_, row);
        }
    }
    void write(const market::RowWrites<market::LeaseCard>& writes) {
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
    void write(const market::RowWrites<market::Usage>& writes) {
        for (const market::Usage& row : writes.inserts) {
            const std::pair key{row.lease, row.sequence};
            if (!usage_keys_.insert(key).second) fail("usage_statements", "usage_statements_pkey");
            undo_.push_back([key](MemoryDatabase& self) { self.usage_keys_.erase(key); });
            append(&MemoryDatabase::usage_, row);
        }
    }
    void write(const market::RowWrites<market::JobSpec>& writes) {
        for (const market::JobSpec& row : writes.inserts)
            append(&MemoryDatabase::job_specs_, row);
    }

    void write(const market::RowWrites<market::SpotPrice>& writes) {
        for (const market::SpotPrice& row : writes.inserts) {
            if (!spot_prices_.emplace(std::pair{row.pool, row.at}, row).second)
                fail("spot_prices", "spot_prices_pkey");
            undo_.push_back([key = std::pair{row.pool, row.at}](MemoryDatabase& self) {
                self.spot_prices_.erase(key);
            });
        }
    }

    void use(CardId card, std::int32_t by) {
        rows<market::Card>().at(card).used += by;
        undo_.push_back(
            [card, by](MemoryDatabase& self) { self.rows<market::Card>().at(card).used -= by; });
    }
    void move(AccountId account, std::int64_t by) {
        rows<ledger::Account>().at(account).balance.count += by;
        undo_.push_back([account, by](MemoryDatabase& self) {
            self.rows<ledger::Account>().at(account).balance.count -= by;
        });
    }
    template <class Row>
    void append(std::vector<Row> MemoryDatabase::*table, const Row& row) {
        (this->*table).push_back(row);
        undo_.push_back([table](MemoryDatabase& self) { (self.*table).pop_back(); });
    }

    template <class Row>
    static Row without_derived(Row row, const Row& known) {
        if constexpr (std::is_same_v<Row, ledger::Account>) row.balance = known.balance;
        if constexpr (std::is_same_v<Row, market::Card>) row.used = known.used;
        return row;
    }

    static void check(const market::Lease& row) {
        const bool is_ended = row.state == market::LeaseState::ended;
        const bool is_ending = is_ended || row.state == market::LeaseState::reclaiming;
        if (row.end_reason.has_value() != is_ending) fail("leases", "leases_end_reason_when_ending");
        if (row.ended_at.has_value() != is_ended) fail("leases", "leases_ended_at_when_ended");
        if (row.released && !is_ended) fail("leases", "leases_released_after_end");
        if (is_ended && row.held.count != 0) fail("leases", "leases_ended_holds_nothing");
        if (row.held.count < 0) fail("leases", "leases_held_not_negative");
        if (row.meter.charged.count != row.meter.numerator / ledger::numerator_per_micro)
            fail("leases", "leases_charge_exact");
        if (row.meter.fee != ledger::fee_of(row.meter.charged, row.fee_ppm))
            fail("leases", "leases_fee_exact");
    }
    /// What the exclusion constraint of the database refuses.
    void check_bookings() const {
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
    [[noreturn]] static void fail(std::string_view table, const std::string& what) {
        throw ConstraintViolated(std::string(table) + ": " + what);
    }

    std::tuple<Rows<market::Organization>, Rows<ledger::Account>, Rows<market::Host>, Rows<market::Card>,
               Rows<market::Listing>, Rows<market::Order>, Rows<market::Lease>, Rows<market::Job>,
               Rows<market::Reservation>, Rows<market::Booking>, Rows<market::Freeze>,
               Rows<market::Settings>, Rows<market::Policy>, Rows<market::PolicyApproval>,
               Rows<market::SpotPool>, Rows<market::LeaseSegment>>
        tables_;
    std::vector<ledger::Transfer> transfers_;
    std::map<std::pair<LeaseId, CardId>, market::LeaseCard> lease_cards_;
    std::vector<market::Usage> usage_;
    std::vector<market::JobSpec> job_specs_;
    SpotPrices spot_prices_;
    std::set<std::pair<LeaseId, std::int64_t>> usage_keys_;
    std::vector<std::function<void(MemoryDatabase&)>> undo_;
};

}  // namespace fallow::testing

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
    MemoryDatabase();

    /// All or nothing: what was written before a ConstraintViolated is taken back.
    void apply(const market::Changes& changes);
    /// Takes the last apply() back.
    void roll_back();
    /// The constraints that look at whole rows.
    void check() const;

    template <class Row>
    [[nodiscard]] const Rows<Row>& rows() const {
        return std::get<Rows<Row>>(tables_);
    }
    template <class Row>
    [[nodiscard]] Rows<Row>& rows() {
        return std::get<Rows<Row>>(tables_);
    }
    [[nodiscard]] const std::vector<ledger::Transfer>& transfers() const { return transfers_; }
    [[nodiscard]] const std::map<std::pair<LeaseId, CardId>, market::LeaseCard>& lease_cards() const;
    [[nodiscard]] const std::vector<market::Usage>& usage() const { return usage_; }
    [[nodiscard]] const std::vector<market::JobSpec>& job_specs() const { return job_specs_; }
    using SpotPrices = std::map<std::pair<SpotPoolId, Time>, market::SpotPrice>;
    [[nodiscard]] const SpotPrices& spot_prices() const { return spot_prices_; }

    /// What server/store/market_store.cpp selects for a new leader.
    [[nodiscard]] engine::LoadedMarket load() const;

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
    void write(const market::RowWrites<ledger::Transfer>& writes);
    void write(const market::RowWrites<market::LeaseCard>& writes);
    void write(const market::RowWrites<market::Usage>& writes);
    void write(const market::RowWrites<market::JobSpec>& writes);

    void write(const market::RowWrites<market::SpotPrice>& writes);

    void use(CardId card, std::int32_t by);
    void move(AccountId account, std::int64_t by);
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

    static void check(const market::Lease& row);
    /// What the exclusion constraint of the database refuses.
    void check_bookings() const;
    [[noreturn]] static void fail(std::string_view table, const std::string& what);

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

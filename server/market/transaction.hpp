// One command's changes to the state, recorded with before-images so that they can be undone, and with the
// event that each change is. A decision checks everything first and only then writes here.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ledger/receipt.hpp"
#include "market/commands.hpp"
#include "market/state.hpp"

namespace fallow::market {

using AnyRow = std::variant<Organization, ledger::Account, ledger::Transfer, Host, Card, Listing, Order,
                            Lease, LeaseCard, Job, JobSpec, Usage, Reservation, Booking, Freeze, Settings,
                            Policy, PolicyApproval, SpotPool, SpotPrice, LeaseSegment>;

/// One change of one row.
struct Entry {
    std::optional<AnyRow> before;
    std::optional<AnyRow> after;
    std::string_view event;  ///< "lease.running"; empty for rows that are no event of their own
    std::string reason;      ///< the typed reason's name, or empty
    std::string actor;
    /// The database derives this change itself, by trigger: it is undone like any other and written
    /// nowhere.
    bool derived = false;
    /// Of the end of a lease that had more than one price: what its receipt lists.
    std::vector<ledger::Segment> bill;
};

class Transaction {
  public:
    Transaction(State& state, const Context& context)
        : state_(state), context_(context), mint_(context.seed, context.now) {}
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    [[nodiscard]] const State& state() const { return state_; }
    [[nodiscard]] const Context& context() const { return context_; }
    [[nodiscard]] Time now() const { return context_.now; }
    template <class IdType>
    [[nodiscard]] IdType make_id() {
        return IdType(mint_.next());
    }
    [[nodiscard]] std::string make_nonce();

    template <class Row>
    void insert(const Row& row, std::string_view event, std::string_view reason = {}) {
        state_.replace<Row>(nullptr, &row);
        record(std::nullopt, AnyRow(row), event, reason);
    }
    /// `row` is the whole new form of a row that exists; its version, where it has one, is raised.
    template <class Row>
    void update(Row row, std::string_view event, std::string_view reason = {}) {
        const Row before = state_.at<Row>(KeyOf<Row>::of(row));
        row.version = before.version + 1;
        state_.replace<Row>(&before, &row);
        record(AnyRow(before), AnyRow(std::move(row)), event, reason);
    }
    template <class Row>
    void remove(const Row& row, std::string_view event) {
        // `row` may be the state's own, which goes with the replacement.
        const Row before = row;  // NOLINT(performance-unnecessary-copy-initialization)
        state_.replace<Row>(&before, nullptr);
        record(AnyRow(before), std::nullopt, event, {});
    }

    /// Takes thousandths of a card, or gives them back.
    void use_card(LeaseId lease, CardId card, std::int32_t thousandths);
    void release_card(LeaseId lease, CardId card, std::int32_t thousandths);
    void add_usage(const Usage& usage) { record(std::nullopt, AnyRow(usage), {}, {}); }
    void add_job_spec(const JobSpec& spec) { record(std::nullopt, AnyRow(spec), {}, {}); }
    void add_spot_price(const SpotPrice& price) { record(std::nullopt, AnyRow(price), {}, {}); }
    /// Belongs to the last change.
    void add_bill(std::vector<ledger::Segment> bill) { entries_.back().bill = std::move(bill); }

    /// Moves money; the caller has made sure by ledger::check_transfer that it can.
    ledger::Transfer transfer(const ledger::Account& debit, const ledger::Account& credit,
                              ledger::Micros amount, ledger::TransferReason reason,
                              std::optional<LeaseId> lease,
                              std::optional<std::string> reference = std::nullopt);
    /// The same for a reservation; nothing moves when the amount is zero.
    void transfer(const ledger::Account& debit, const ledger::Account& credit, ledger::Micros amount,
                  ledger::TransferReason reason, ReservationId reservation);

    [[nodiscard]] const std::vector<Entry>& entries() const { return entries_; }
    [[nodiscard]] std::vector<Entry> take_entries() { return std::move(entries_); }
    void rollback();

  private:
    void record(std::optional<AnyRow> before, std::optional<AnyRow> after, std::string_view event,
                std::string_view reason, bool derived = false);
    ledger::Transfer move(ledger::Transfer row);
    void move_balance(AccountId account, ledger::Micros by);
    void move_used(CardId card, std::int32_t by);

    State& state_;
    const Context& context_;
    IdMint mint_;
    std::vector<Entry> entries_;
};

/// Takes the changes of `entries` back, the last one first.
void undo(State& state, const std::vector<Entry>& entries);

/// The entries of a batch as rows to write: each row once, in its final form.
[[nodiscard]] Changes coalesce(const std::vector<Entry>& entries);

/// Called with a row that has become durable: when no later command can change it, it leaves the state.
/// Orders go with their released lease, jobs with their last one, reservations by themselves.
void forget_if_final(State& state, const AnyRow& row);

/// The organizations that may see an event of this row.
[[nodiscard]] std::vector<OrganizationId> audience(const AnyRow& row);

}  // namespace fallow::market

#include "market/transaction.hpp"

#include <algorithm>
#include <map>

namespace fallow::market {
namespace {

template <class Row>
concept KeptInState = requires(const Row& row) {
    KeyOf<Row>::of(row);
};

template <class Row>
const Row* get(const std::optional<AnyRow>& any) {
    return any ? std::get_if<Row>(&*any) : nullptr;
}

/// The key under which the changes of one row meet; append-only rows have none.
template <class Row>
auto merge_key(const Row& row) {
    if constexpr (std::is_same_v<Row, LeaseCard>)
        return std::pair{row.lease, row.card};
    else if constexpr (KeptInState<Row>)
        return KeyOf<Row>::of(row);
    else
        return 0;
}

template <class Row>
class Merger {
  public:
    void add(const Row* before, const Row* after) {
        if constexpr (!KeptInState<Row> && !std::is_same_v<Row, LeaseCard>) {
            appended_.push_back(*after);
        } else {
            const auto key = merge_key(after != nullptr ? *after : *before);
            const auto [at, is_new] = place_.try_emplace(key, rows_.size());
            if (is_new)
                rows_.push_back({before != nullptr, before, after});
            else
                rows_[at->second].after = after;
        }
    }
    void write_to(RowWrites<Row>& writes) const {
        writes.inserts = appended_;
        for (const auto& row : rows_) {
            if (row.after == nullptr && row.existed)
                writes.removes.push_back(*row.first_before);
            else if (row.after != nullptr)
                (row.existed ? writes.updates : writes.inserts).push_back(*row.after);
        }
    }

  private:
    struct Merged {
        bool existed;
        const Row* first_before;
        const Row* after;
    };
    std::vector<Row> appended_;
    std::vector<Merged> rows_;
    std::map<decltype(merge_key(std::declval<Row>())), std::size_t> place_;
};

}  // namespace

std::string Transaction::make_nonce() {
    const std::string uuid = format_uuid(mint_.next());
    std::string nonce;
    std::copy_if(uuid.begin(), uuid.end(), std::back_inserter(nonce), [](char c) { return c != '-'; });
    return nonce;
}

void Transaction::record(std::optional<AnyRow> before, std::optional<AnyRow> after, std::string_view event,
                         std::string_view reason, bool derived) {
    // As many as an order makes: a row is large to move.
    if (entries_.empty()) entries_.reserve(8);
    entries_.push_back(Entry{std::move(before),
                             std::move(after),
                             event,
                             std::string(reason),
                             derived ? std::string() : context_.caller.name,
                             derived,
                             {}});
}

void Transaction::move_used(CardId id, std::int32_t by) {
    const Card before = state_.at<Card>(id);
    Card after = before;
    after.used += by;
    FALLOW_ASSERT(after.used >= 0 && after.used <= limits::thousandths_per_card);
    state_.replace<Card>(&before, &after);
    record(AnyRow(before), AnyRow(after), {}, {}, true);
}

void Transaction::use_card(LeaseId lease, CardId card, std::int32_t thousandths) {
    move_used(card, thousandths);
    record(std::nullopt, AnyRow(LeaseCard{lease, card, thousandths, false}), {}, {});
}

void Transaction::release_card(LeaseId lease, CardId card, std::int32_t thousandths) {
    move_used(card, -thousandths);
    record(AnyRow(LeaseCard{lease, card, thousandths, false}),
           AnyRow(LeaseCard{lease, card, thousandths, true}), {}, {});
}

void Transaction::move_balance(AccountId id, ledger::Micros by) {
    const ledger::Account before = state_.at<ledger::Account>(id);
    ledger::Account after = before;
    after.balance = after.balance + by;
    FALLOW_ASSERT(after.balance >= ledger::floor_of(after.kind));
    state_.replace<ledger::Account>(&before, &after);
    record(AnyRow(before), AnyRow(after), {}, {}, true);
}

ledger::Transfer Transaction::transfer(const ledger::Account& debit, const ledger::Account& credit,
                                       ledger::Micros amount, ledger::TransferReason reason,
                                       std::optional<LeaseId> lease, std::optional<std::string> reference) {
    return move({make_id<TransferId>(), debit.id, credit.id, debit.organization, credit.organization,
                 amount, reason, lease, std::nullopt, std::move(reference), now()});
}

void Transaction::transfer(const ledger::Account& debit, const ledger::Account& credit,
                           ledger::Micros amount, ledger::TransferReason reason,
                           ReservationId reservation) {
    if (amount.count == 0) return;
    static_cast<void>(
        move({make_id<TransferId>(), debit.id, credit.id, debit.organization, credit.organization, amount,
              reason, std::nullopt, reservation, std::nullopt, now()}));
}

ledger::Transfer Transaction::move(ledger::Transfer row) {
    const auto reason = row.reason;
    move_balance(row.debit, ledger::Micros(-row.amount.count));
    move_balance(row.credit, row.amount);
    const bool is_external =
        reason == ledger::TransferReason::deposit || reason == ledger::TransferReason::withdrawal;
    record(std::nullopt, AnyRow(row), is_external ? "transfer.made" : "", {});
    return row;
}

void Transaction::rollback() {
    undo(state_, entries_);
    entries_.clear();
}

void undo(State& state, const std::vector<Entry>& entries) {
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        std::visit(
            [&](const auto& row) {
                using Row = std::decay_t<decltype(row)>;
                if constexpr (KeptInState<Row>)
                    state.replace<Row>(get<Row>(entry->after), get<Row>(entry->before));
            },
            entry->after ? *entry->after : *entry->before);
    }
}

Changes coalesce(const std::vector<Entry>& entries) {
    std::tuple<Merger<Organization>, Merger<ledger::Account>, Merger<ledger::Transfer>, Merger<Host>,
               Merger<Card>, Merger<Listing>, Merger<Order>, Merger<Lease>, Merger<LeaseCard>, Merger<Job>,
               Merger<JobSpec>, Merger<Usage>, Merger<Reservation>, Merger<Booking>, Merger<Freeze>,
               Merger<Settings>, Merger<Policy>, Merger<PolicyApproval>, Merger<SpotPool>,
               Merger<SpotPrice>, Merger<LeaseSegment>>
        mergers;
    for (const Entry& entry : entries) {
        if (entry.derived) continue;
        std::visit(
            [&](const auto& row) {
                using Row = std::decay_t<decltype(row)>;
                std::get<Merger<Row>>(mergers).add(get<Row>(entry.before), get<Row>(entry.after));
            },
            entry.after ? *entry.after : *entry.before);
    }
    Changes changes;
    Changes::each(changes, [&]<class Row>(RowWrites<Row>& writes) {
        std::get<Merger<Row>>(mergers).write_to(writes);
    });
    return changes;
}

namespace {

template <class Row>
void forget(State& state, const typename KeyOf<Row>::type& key) {
    if (const Row* row = state.find<Row>(key)) state.replace<Row>(row, nullptr);
}

void forget_jobs_of(State& state, OrderId gang) {
    const State::ByRank<JobId> jobs = state.jobs_of(gang);
    for (const auto& [rank, id] : jobs)
        if (state.at<Job>(id).finished_at) forget<Job>(state, id);
}

/// The last of a gang's leases takes the order with it, and the jobs that ended with it.
void forget_member(State& state, const Lease& lease) {
    forget<Lease>(state, lease.id);
    const Job* attached = lease.job ? state.find<Job>(*lease.job) : nullptr;
    if (attached != nullptr && !attached->is_member() && attached->finished_at)
        forget<Job>(state, attached->id);
    if (!state.leases_of(lease.order).empty()) return;
    forget_jobs_of(state, lease.order);
    forget<Order>(state, lease.order);
}

/// Whether a job's end is durable, seen from a lease of its that is: it ended with this very lease, or else
/// with another order, which stays in the state until its end is durable.
bool is_done_with(const State& state, const Job& job, const Lease& lease) {
    return job.finished_at && (job.order == lease.order || state.find<Order>(*job.order) == nullptr);
}

}  // namespace

void forget_if_final(State& state, const AnyRow& row) {
    if (const auto* lease = std::get_if<Lease>(&row)) {
        if (!lease->released) return;
        if (lease->is_member()) return forget_member(state, *lease);
        forget<Order>(state, lease->order);
        const Job* job = lease->job ? state.find<Job>(*lease->job) : nullptr;
        if (job != nullptr && is_done_with(state, *job, *lease)) forget<Job>(state, job->id);
        const auto segments = state.segments_of(lease->id);
        for (const auto& [sequence, id] : segments)
            forget<LeaseSegment>(state, id);
        forget<Lease>(state, lease->id);
    } else if (const auto* order = std::get_if<Order>(&row)) {
        if (order->state == OrderState::standing || order->state == OrderState::filled) return;
        forget_jobs_of(state, order->id);
        if (order->job) forget<Job>(state, *order->job);
        forget<Order>(state, order->id);
    } else if (const auto* reservation = std::get_if<Reservation>(&row)) {
        if (!reservation->is_open()) forget<Reservation>(state, reservation->id);
    }
}

namespace {

struct Audience {
    std::vector<OrganizationId> operator()(const Organization& row) const { return {row.id}; }
    std::vector<OrganizationId> operator()(const ledger::Transfer& row) const {
        return {row.debit_organization, row.credit_organization};
    }
    std::vector<OrganizationId> operator()(const Lease& row) const {
        if (row.renter == row.seller) return {row.renter};
        return {row.renter, row.seller};
    }
    std::vector<OrganizationId> operator()(const Reservation& row) const {
        if (row.renter == row.seller) return {row.renter};
        return {row.renter, row.seller};
    }
    std::vector<OrganizationId> operator()(const Usage& row) const { return {row.renter, row.seller}; }
    std::vector<OrganizationId> operator()(const LeaseCard&) const { return {}; }
    std::vector<OrganizationId> operator()(const Freeze&) const { return {}; }
    std::vector<OrganizationId> operator()(const Settings&) const { return {}; }
    std::vector<OrganizationId> operator()(const Policy&) const { return {}; }
    std::vector<OrganizationId> operator()(const SpotPool&) const { return {}; }
    std::vector<OrganizationId> operator()(const SpotPrice&) const { return {}; }
    std::vector<OrganizationId> operator()(const LeaseSegment& row) const { return {row.renter}; }
    template <class Row>
    std::vector<OrganizationId> operator()(const Row& row) const {
        return {row.organization};
    }
};

}  // namespace

std::vector<OrganizationId> audience(const AnyRow& row) {
    return std::visit(Audience{}, row);
}

}  // namespace fallow::market

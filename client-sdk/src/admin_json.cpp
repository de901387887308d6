#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<NewOrganization> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("name", value.name);
        visit("country", value.country);
    }
};

template <>
struct Fields<NewDeposit> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("organization_id", value.organization_id);
        visit("amount_micros", value.amount_micros);
        visit("reference", value.reference);
    }
};

template <>
struct Fields<NewWithdrawal> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("organization_id", value.organization_id);
        visit("account", value.account);
        visit("amount_micros", value.amount_micros);
        visit("reference", value.reference);
    }
};

template <>
struct Fields<KindBalance> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("kind", value.kind);
        visit("balance_micros", value.balance_micros);
    }
};

template <>
struct Fields<LedgerProof> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("accounts", value.accounts);
        visit("transfers", value.transfers);
        visit("sum_micros", value.sum_micros);
        visit("balanced", value.balanced);
        visit("by_kind", value.by_kind);
        visit("mismatched_accounts", value.mismatched_accounts);
    }
};

template <>
struct Fields<Fee> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("fee_ppm", value.fee_ppm);
    }
};

template <>
struct Fields<SpotStep> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("step_micros_per_hour", value.step_micros_per_hour);
    }
};

template <>
struct Fields<SchedulerState> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("market", value.market);
        visit("leader", value.leader);
        visit("epoch", value.epoch);
        visit("sequence", value.sequence);
        visit("last_confirmed_at", value.last_confirmed_at);
        visit("queue_depth", value.queue_depth);
        visit("active_leases", value.active_leases);
        visit("standing_orders", value.standing_orders);
        visit("batches", value.batches);
        visit("commands", value.commands);
        visit("quarantined", value.quarantined);
    }
};

template <>
struct Fields<Freeze> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("kind", value.kind);
        visit("target", value.target);
        visit("note", value.note);
        visit("created_at", value.created_at);
        visit("created_by", value.created_by);
    }
};

template <>
struct Fields<NewFreeze> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("kind", value.kind);
        visit("target", value.target);
        visit("note", value.note);
    }
};

FALLOW_SDK_REQUEST(NewOrganization);
FALLOW_SDK_REQUEST(NewDeposit);
FALLOW_SDK_REQUEST(NewWithdrawal);
FALLOW_SDK_REPLY(LedgerProof);
FALLOW_SDK_REPLY(Fee);
FALLOW_SDK_REPLY(SpotStep);
FALLOW_SDK_REQUEST(Fee);
FALLOW_SDK_REQUEST(SpotStep);
FALLOW_SDK_REPLY(SchedulerState);
FALLOW_SDK_REPLY(Freeze);
FALLOW_SDK_REQUEST(NewFreeze);

}  // namespace fallow::sdk

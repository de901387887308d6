#include <fmt/format.h>

#include "ledger/account.hpp"
#include "ledger/metering.hpp"

namespace fallow::ledger {

Micros floor_of(AccountKind kind) {
    return kind == AccountKind::external ? Micros(-limits::amount_micros_max) : Micros(0);
}

Status check_transfer(const Account& debit, const Account& credit, Micros amount) {
    if (amount.count <= 0 || amount.count > limits::amount_micros_max)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("The amount must be from 1 to {} micros.", limits::amount_micros_max),
                      "/amount_micros");
    if (debit.id == credit.id)
        return refuse(ErrorCode::invalid_field, "A transfer needs two different accounts.",
                      "/amount_micros");
    const Micros floor = floor_of(debit.kind);
    if (debit.balance.count - floor.count < amount.count)
        return refuse(
            ErrorCode::insufficient_funds,
            fmt::format("The {} account has {} micros and {} are needed: deposit at least {} more.",
                        name_of(debit.kind), debit.balance.count, amount.count,
                        amount.count - (debit.balance.count - floor.count)));
    if (credit.balance.count > limits::amount_micros_max - amount.count)
        return refuse(ErrorCode::limit_reached,
                      fmt::format("An account holds at most {} micros.", limits::amount_micros_max));
    return Done{};
}

Micros fee_of(Micros charged, std::int32_t fee_ppm) {
    return Micros(static_cast<std::int64_t>(static_cast<Int128>(charged.count) * fee_ppm / 1'000'000));
}

std::int64_t storage_nanos_per_hour(Micros per_gib_month, std::int64_t bytes) {
    FALLOW_ASSERT(per_gib_month.count >= 0 && bytes >= 0);
    const Int128 nanos_of_a_month = static_cast<Int128>(per_gib_month.count) * bytes * 1000;
    return static_cast<std::int64_t>(nanos_of_a_month / hours_per_month / bytes_per_gib);
}

Micros hourly(const Rate& rate) {
    return Micros(static_cast<std::int64_t>((rate.per_ms() + 999) / 1000));
}

Meter advance(const Meter& meter, const Rate& rate, Millis delta, std::int32_t fee_ppm,
              const Traffic& more) {
    FALLOW_ASSERT(delta.count >= 0 && rate.price.micros_per_hour >= 0 && rate.thousandths > 0);
    FALLOW_ASSERT(more.mib >= 0 && more.per_gib.count >= 0);
    Meter next = meter;
    next.numerator += rate.per_ms() * delta.count + more.numerator();
    next.egress_mib = meter.egress_mib + more.mib;
    next.running = meter.running + delta;
    next.charged = Micros(static_cast<std::int64_t>(next.numerator / numerator_per_micro));
    next.fee = fee_of(next.charged, fee_ppm);
    return next;
}

namespace {

Micros rounded_up(Int128 numerator) {
    return Micros(static_cast<std::int64_t>((numerator + numerator_per_micro - 1) / numerator_per_micro));
}

}  // namespace

Micros cost_ceiling(const Rate& rate, Millis span) {
    return rounded_up(rate.per_ms() * span.count);
}

Micros cost_ceiling(const Traffic& traffic) {
    return rounded_up(traffic.numerator());
}

Millis covered_by(const Meter& meter, const Rate& rate, Micros funds, const Traffic& to_come) {
    const Int128 per_ms = rate.per_ms();
    if (per_ms == 0) return Millis(limits::term_ms_max);
    // The charge stays within the funds while the numerator is below the next micro after them.
    const Int128 ceiling =
        static_cast<Int128>(meter.charged.count + funds.count + 1) * numerator_per_micro - 1;
    const Int128 left = ceiling - meter.numerator - to_come.numerator();
    if (left < 0) return Millis(0);
    const Int128 span = left / per_ms;
    return Millis(span > limits::term_ms_max ? limits::term_ms_max : static_cast<std::int64_t>(span));
}

Micros traffic_part(const Meter& meter, Micros per_gib) {
    const Int128 of_time = meter.numerator - Traffic{per_gib, meter.egress_mib}.numerator();
    return meter.charged - Micros(static_cast<std::int64_t>(of_time / numerator_per_micro));
}

}  // namespace fallow::ledger

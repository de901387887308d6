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

Meter advance(const Meter& meter, Price price, std::int32_t thousandths, Millis delta,
              std::int32_t fee_ppm) {
    FALLOW_ASSERT(delta.count >= 0 && price.micros_per_hour >= 0 && thousandths > 0);
    Meter next = meter;
    next.numerator += static_cast<Int128>(price.micros_per_hour) * delta.count * thousandths;
    next.running = meter.running + delta;
    next.charged = Micros(static_cast<std::int64_t>(next.numerator / numerator_per_micro));
    next.fee = fee_of(next.charged, fee_ppm);
    return next;
}

Micros cost_ceiling(Price price, std::int32_t thousandths, Millis span) {
    const Int128 numerator = static_cast<Int128>(price.micros_per_hour) * span.count * thousandths;
    return Micros(static_cast<std::int64_t>((numerator + numerator_per_micro - 1) / numerator_per_micro));
}

Millis covered_by(const Meter& meter, Price price, std::int32_t thousandths, Micros funds) {
    const Int128 rate = static_cast<Int128>(price.micros_per_hour) * thousandths;
    if (rate == 0) return Millis(limits::term_ms_max);
    // The charge stays within the funds while the numerator is below the next micro after them.
    const Int128 ceiling =
        static_cast<Int128>(meter.charged.count + funds.count + 1) * numerator_per_micro - 1;
    const Int128 span = (ceiling - meter.numerator) / rate;
    return Millis(span > limits::term_ms_max ? limits::term_ms_max : static_cast<std::int64_t>(span));
}

}  // namespace fallow::ledger

#include "market/failed_starts.hpp"

#include <fmt/format.h>

namespace fallow::market {
namespace {

bool is_over(const Organization& renter, Millis window, Time now) {
    return !renter.failed_starts_since || *renter.failed_starts_since + window <= now;
}

}  // namespace

bool is_unpaid_start(const Lease& ended) {
    if (!ended.preparing_at || ended.running_at || !ended.end_reason) return false;
    switch (*ended.end_reason) {
        case EndReason::image_pull_failed:
        case EndReason::start_failed:
        case EndReason::start_timeout:
        case EndReason::cancelled_by_renter:
            return true;
        default:
            return false;
    }
}

void note_unpaid_start(Transaction& tx, const Lease& ended) {
    if (!is_unpaid_start(ended) || ended.renter == ended.seller) return;
    Organization renter = tx.state().at<Organization>(ended.renter);
    if (is_over(renter, tx.state().rules().failed_starts_window, tx.now())) {
        renter.failed_starts = 0;
        renter.failed_starts_since = tx.now();
    }
    renter.failed_starts += 1;
    tx.update(std::move(renter), {});
}

Status check_may_start(const State& state, OrganizationId renter, Time now) {
    const Rules& rules = state.rules();
    const Organization& row = state.at<Organization>(renter);
    if (row.failed_starts < rules.failed_starts_max || is_over(row, rules.failed_starts_window, now))
        return Done{};
    return refuse(ErrorCode::rate_limited,
                  fmt::format("{} starts of your jobs have failed, or were given up before they ran, since "
                              "{}: the next is possible at {}. Mend the image or the command meanwhile.",
                              row.failed_starts, to_rfc3339(*row.failed_starts_since),
                              to_rfc3339(*row.failed_starts_since + rules.failed_starts_window)));
}

}  // namespace fallow::market

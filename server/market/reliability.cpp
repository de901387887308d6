#include "market/reliability.hpp"

#include <algorithm>

#include "base/assert.hpp"
#include "market/lease.hpp"

namespace fallow::market {
namespace {

constexpr std::int64_t million = 1'000'000;

Millis sum_of(const HostRecord& record) {
    return record.delivered + record.lost + record.reclaimed + record.start_failed + record.clipped;
}

/// The count that a lease's end belongs to; none where the host is not to blame.
Millis* failure_of(HostRecord& record, const Lease& lease) {
    switch (*lease.end_reason) {
        case EndReason::host_lost:
            return &record.lost;
        case EndReason::reclaimed_by_owner:
        case EndReason::host_maintenance:
            return &record.reclaimed;
        case EndReason::start_failed:
            return &record.start_failed;
        case EndReason::start_timeout:
            // A rental to which nobody brought a job has waited for its renter.
            return lease.job ? &record.start_failed : nullptr;
        case EndReason::completed:
        case EndReason::command_failed:
        case EndReason::out_of_memory:
        case EndReason::duration_exceeded:
        case EndReason::cancelled_by_renter:
        case EndReason::outbid:
        case EndReason::term_reached:
        case EndReason::funds_exhausted:
        case EndReason::image_pull_failed:
        case EndReason::policy_revoked:
        case EndReason::temporary_failure:
        case EndReason::unhealthy:
        case EndReason::idle:
            return nullptr;
    }
    return nullptr;
}

}  // namespace

HostRecord with(HostRecord record, const Lease& ended) {
    FALLOW_ASSERT(ended.end_reason.has_value());
    record.delivered = record.delivered + ended.meter.running;
    record.clipped =
        record.clipped + std::clamp(ended.claimed - ended.meter.running, Millis(0), failed_per_lease_max);
    if (Millis* const count = failure_of(record, ended)) {
        const Millis most =
            count == &record.start_failed ? start_failed_per_lease_max : failed_per_lease_max;
        *count = *count + std::clamp(ended.term - ended.meter.running, Millis(0), most);
    }
    while (sum_of(record) > record_window)
        for (Millis* count :
             {&record.delivered, &record.lost, &record.reclaimed, &record.start_failed, &record.clipped})
            count->count /= 2;
    return record;
}

Millis failed(const HostRecord& record) {
    return record.lost + record.clipped + record.start_failed +
           Millis(record.reclaimed.count / reclaimed_share);
}

std::int64_t reliability_ppm(const HostRecord& record) {
    const std::int64_t good = (record.delivered + prior_delivered).count;
    const std::int64_t bad = (failed(record) + prior_failed).count;
    return good * million / (good + bad);
}

}  // namespace fallow::market

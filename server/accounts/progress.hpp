// How far a lease's host is with what it moves for its job, as the host says: one row a lease, written over
// and over. It decides nothing and costs nothing, is in no journal, and goes after the lease's end.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

FALLOW_ENUM(ProgressStep, pulling_image, fetching_inputs, restoring_checkpoint, uploading_outputs)

inline constexpr std::int64_t progress_bytes_max = 1LL << 50;

struct LeaseProgress {
    static constexpr std::string_view table = "lease_progress";
    LeaseId lease;
    OrganizationId renter;
    ProgressStep step = ProgressStep::pulling_image;
    std::int64_t done_bytes = 0;
    std::optional<std::int64_t> total_bytes;  ///< nothing while it is not known
    Time at;                                  ///< when the server heard it

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("lease_id", row.lease);
        visit.field("organization_id", row.renter);
        visit.field("step", row.step);
        visit.field("done_bytes", row.done_bytes);
        visit.field("total_bytes", row.total_bytes);
        visit.field("at", row.at);
    }
    friend bool operator==(const LeaseProgress&, const LeaseProgress&) = default;
};

}  // namespace fallow::accounts

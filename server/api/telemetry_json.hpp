// What is told of a lease's telemetry, and to whom.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "accounts/efficiency.hpp"
#include "market/lease.hpp"

namespace fallow::api {

struct LeaseTelemetry {
    const market::Lease& lease;
    std::string role;  ///< renter, seller, admin
    accounts::MeasuredSpan span;
    Millis step;
    std::vector<accounts::CardSummary> cards;
    std::vector<accounts::MeasuredMinute> steps;
    accounts::Efficiency efficiency;

    /// How much memory a renter's program takes, and how well it does with it, is the renter's affair.
    [[nodiscard]] bool is_whole() const { return role != "seller"; }
};

[[nodiscard]] std::string to_json(const LeaseTelemetry& telemetry);
[[nodiscard]] std::string to_json(JobId job, const accounts::Efficiency& efficiency);

}  // namespace fallow::api

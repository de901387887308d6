// What the operator alone sends and gets.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fallow/json_text.hpp"

namespace fallow::sdk {

struct NewOrganization {
    std::string name;
    std::string country;
};

struct NewDeposit {
    std::string organization_id;
    std::int64_t amount_micros = 0;
    std::string reference;
};

struct NewWithdrawal {
    std::string organization_id;
    std::string account;  ///< available, earned
    std::int64_t amount_micros = 0;
    std::string reference;
};

struct KindBalance {
    std::string kind;
    std::int64_t balance_micros = 0;
};

struct LedgerProof {
    std::int64_t accounts = 0;
    std::int64_t transfers = 0;
    std::int64_t sum_micros = 0;
    bool balanced = false;
    std::vector<KindBalance> by_kind;
    std::vector<JsonText> mismatched_accounts;
};

struct Fee {
    std::int64_t fee_ppm = 0;
};

/// A bid outbids another by this much at least.
struct SpotStep {
    std::int64_t step_micros_per_hour = 0;
};

struct SchedulerState {
    std::string market;
    JsonText leader;
    std::int64_t epoch = 0;
    std::int64_t sequence = 0;
    std::optional<std::string> last_confirmed_at;
    std::int64_t queue_depth = 0;
    std::int64_t active_leases = 0;
    std::int64_t standing_orders = 0;
    std::int64_t batches = 0;
    std::int64_t commands = 0;
    JsonText quarantined;
};

struct Freeze {
    std::string id;
    std::string kind;  ///< organization, host, market, image
    std::string target;
    std::string note;
    std::string created_at;
    JsonText created_by;
};

struct NewFreeze {
    std::string kind;
    std::string target;
    std::string note;
};

}  // namespace fallow::sdk

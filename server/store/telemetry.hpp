// Telemetry in PostgreSQL, on one open transaction, role request, admin or agent.
#pragma once

#include <vector>

#include "accounts/telemetry.hpp"
#include "store/transaction.hpp"

namespace fallow::store {

class TelemetryStore final : public accounts::TelemetryStore {
  public:
    explicit TelemetryStore(Transaction& tx) : tx_(tx) {}

    void put(const std::vector<accounts::CardTelemetry>& cards) override;
    [[nodiscard]] std::vector<accounts::CardSummary> summaries(LeaseId lease, Time from) override;
    [[nodiscard]] std::vector<accounts::CardSummary> summaries(JobId job, Time from) override;
    [[nodiscard]] std::int64_t cards_of(JobId job) override;
    [[nodiscard]] std::vector<accounts::MeasuredMinute> steps(LeaseId lease, Time from,
                                                              Millis step) override;

  private:
    Transaction& tx_;
};

}  // namespace fallow::store

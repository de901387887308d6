// Tells the server how far the leases are, on a thread and a connection of its own: whatever becomes of it,
// no lease waits for it. At most every two seconds, and nothing while nothing changes.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>

#include "agent/transfer_progress.hpp"

namespace fallow::agent {

class ProgressReporter {
  public:
    /// Throws what ServerLink throws.
    using Send = std::function<void(const std::string& lease_id, const TransferProgress&, std::stop_token)>;

    ProgressReporter(std::shared_ptr<ProgressBook> book, Send send);

  private:
    void run(const std::stop_token& stop);
    void tell_all(const std::stop_token& stop);

    std::shared_ptr<ProgressBook> book_;
    Send send_;
    std::jthread thread_;  // last: it uses all of the above
};

}  // namespace fallow::agent

// Hears of the tunnels that renters have asked any server for. It is looked at often and costs one row.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.hpp"
#include "store/connection.hpp"

namespace fallow::store {

/// One thread at a time.
class TunnelWatch {
  public:
    explicit TunnelWatch(const ConnectionSettings& settings);

    /// The hosts that tunnels since the last look were asked for of. Throws DatabaseError; a broken session
    /// is replaced by the next look.
    [[nodiscard]] std::vector<HostId> look();

  private:
    Connection connection_;
    std::int64_t sequence_ = 0;
};

}  // namespace fallow::store

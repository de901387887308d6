// When each host was last heard of. In memory only: a heartbeat costs no row. Silence and return become
// commands.
#pragma once

#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace fallow::engine {

class Presence {
  public:
    /// A host that the market believes to be online; a new leader gives each a full lost-window from `now`.
    void expect(HostId host, Time now);
    /// True when the host was not believed to be online: the market should be told.
    [[nodiscard]] bool heard(HostId host, Time now);
    /// For that long nobody listened: it does not count as silence.
    void excuse(Millis deaf, Time now);
    /// Hosts believed online and silent for longer than `window`; they are no longer believed online.
    [[nodiscard]] std::vector<HostId> lost(Time now, Millis window);
    /// Heard again since lost() named it.
    [[nodiscard]] bool is_back(HostId host) const;
    void clear();

  private:
    struct Seen {
        Time at;
        bool online = false;
        bool back = false;
    };
    mutable std::mutex mutex_;
    std::unordered_map<HostId, Seen> hosts_;
    /// Nobody believed online was last heard of before this, so that most calls of lost() look at no host.
    Time heard_since_;
};

}  // namespace fallow::engine

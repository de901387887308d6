// When each host was last heard of, and from where. In memory only: a heartbeat costs no row. Silence,
// return and a change of address become commands.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"

namespace fallow::market {
struct Host;
}

namespace fallow::engine {

/// Whether the market believes that it is heard from.
[[nodiscard]] bool is_believed_online(const market::Host& host);

/// How long hosts without leases may take to come back to a server that was gone, so that it takes that
/// many of them in while those with leases are within their fences. Agents are told with each heartbeat,
/// and none is lost for it.
[[nodiscard]] Millis idle_return(std::size_t hosts);

class Presence {
  public:
    /// A host that the market believes to be online; a new leader gives each a full lost-window from
    /// `since`, which may be to come.
    void expect(HostId host, Time since);
    /// True when the host was not believed to be online: the market should be told.
    [[nodiscard]] bool heard(HostId host, Time now);
    /// For that long nobody listened: it does not count as silence, and adds nothing to a time that is yet
    /// to come.
    void excuse(Millis deaf, Time now);
    /// Hosts believed online and silent for longer than `window`; they are no longer believed online.
    [[nodiscard]] std::vector<HostId> lost(Time now, Millis window);
    /// Heard again since lost() named it.
    [[nodiscard]] bool is_back(HostId host) const;
    /// What the market believes of a host's address; empty: it knows none.
    void believe(HostId host, std::string address);
    /// True when the market should be told that the host is heard from this address: it believes another
    /// one. Within `quiet` of the last time nothing is told; a later heartbeat is asked about again.
    [[nodiscard]] bool has_moved(HostId host, const std::string& address, Time now, Millis quiet);
    void clear();

  private:
    struct Seen {
        Time at;
        bool online = false;
        bool back = false;
        std::string address = {};
        std::optional<Time> told_at = {};  ///< of an address
    };
    mutable std::mutex mutex_;
    std::unordered_map<HostId, Seen> hosts_;
    /// Nobody believed online was last heard of before this, so that most calls of lost() look at no host.
    Time heard_since_;
};

}  // namespace fallow::engine

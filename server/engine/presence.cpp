#include "engine/presence.hpp"

#include <algorithm>
#include <utility>

#include "market/host.hpp"

namespace fallow::engine {
namespace {

/// A handshake, a look at who it is, a heartbeat and the first look at the desired state, beside all else.
constexpr std::int64_t return_ms_per_host = 4;
/// What takes less than that need not be spread.
constexpr Millis return_min = seconds(1);
/// A lease that was just made waits for its host no longer than accept_ms.
constexpr Millis return_max = seconds(45);

}  // namespace

bool is_believed_online(const market::Host& host) {
    const bool is_served =
        host.state == market::HostState::online || host.state == market::HostState::draining;
    return is_served && !host.unreachable_since;
}

Millis idle_return(std::size_t hosts) {
    constexpr auto hosts_max = static_cast<std::size_t>(return_max.count / return_ms_per_host);
    const Millis all(static_cast<std::int64_t>(std::min(hosts, hosts_max)) * return_ms_per_host);
    return all < return_min ? Millis() : all;
}

void Presence::expect(HostId host, Time since) {
    const std::lock_guard lock(mutex_);
    Seen& seen = hosts_[host];
    seen.at = since;
    seen.online = true;
    seen.back = false;
    heard_since_ = std::min(heard_since_, since);
}

bool Presence::heard(HostId host, Time now) {
    const std::lock_guard lock(mutex_);
    Seen& seen = hosts_[host];
    seen.at = now;
    heard_since_ = std::min(heard_since_, now);
    if (std::exchange(seen.online, true)) return false;
    seen.back = true;
    return true;
}

void Presence::excuse(Millis deaf, Time now) {
    const std::lock_guard lock(mutex_);
    for (auto& [host, seen] : hosts_)
        seen.at = std::max(seen.at, std::min(now, seen.at + deaf));
    heard_since_ = std::min(heard_since_, now);
}

std::vector<HostId> Presence::lost(Time now, Millis window) {
    const std::lock_guard lock(mutex_);
    std::vector<HostId> lost;
    if (now - heard_since_ <= window) return lost;
    heard_since_ = now;
    for (auto& [host, seen] : hosts_) {
        if (!seen.online) continue;
        if (now - seen.at <= window) {
            heard_since_ = std::min(heard_since_, seen.at);
            continue;
        }
        seen.online = seen.back = false;
        lost.push_back(host);
    }
    return lost;
}

bool Presence::is_back(HostId host) const {
    const std::lock_guard lock(mutex_);
    const auto at = hosts_.find(host);
    return at != hosts_.end() && at->second.back;
}

void Presence::believe(HostId host, std::string address) {
    const std::lock_guard lock(mutex_);
    hosts_[host].address = std::move(address);
}

bool Presence::has_moved(HostId host, const std::string& address, Time now, Millis quiet) {
    const std::lock_guard lock(mutex_);
    Seen& seen = hosts_[host];
    if (seen.address == address || (seen.told_at && now - *seen.told_at < quiet)) return false;
    seen.address = address;
    seen.told_at = now;
    return true;
}

void Presence::clear() {
    const std::lock_guard lock(mutex_);
    hosts_.clear();
}

}  // namespace fallow::engine

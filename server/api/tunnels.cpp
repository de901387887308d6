#include "api/tunnels.hpp"

#include <vector>

namespace fallow::api {

bool TunnelDesk::expect(TunnelId tunnel, HostId host, OrganizationId organization, Met met) {
    const std::lock_guard lock(mutex_);
    int& own = per_organization_[organization];
    if (count_ >= tunnels_per_server_max || own >= tunnels_per_organization_max) return false;
    ++own;
    ++count_;
    waiting_.emplace(tunnel, Waiting{host, organization, std::move(met)});
    return true;
}

std::shared_ptr<http::TunnelEnd> TunnelDesk::meet(TunnelId tunnel, HostId host) {
    Waiting waiting;
    {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(tunnel);
        if (found == waiting_.end() || found->second.host != host) return nullptr;
        waiting = std::move(found->second);
        waiting_.erase(found);
    }
    auto ends =
        http::make_tunnel([this, organization = waiting.organization] { leave(organization); }, bytes_);
    waiting.met(std::move(ends.first));
    return std::move(ends.second);
}

void TunnelDesk::refuse_waiting(TunnelId tunnel, const Error& error) {
    Waiting waiting;
    {
        const std::lock_guard lock(mutex_);
        const auto found = waiting_.find(tunnel);
        if (found == waiting_.end()) return;
        waiting = std::move(found->second);
        waiting_.erase(found);
    }
    leave(waiting.organization);
    waiting.met(error);
}

void TunnelDesk::leave(OrganizationId organization) {
    const std::lock_guard lock(mutex_);
    --count_;
    const auto at = per_organization_.find(organization);
    if (at != per_organization_.end() && --at->second == 0) per_organization_.erase(at);
}

int TunnelDesk::count() const {
    const std::lock_guard lock(mutex_);
    return count_;
}

void TunnelDesk::stop() {
    std::vector<TunnelId> all;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [tunnel, waiting] : waiting_)
            all.push_back(tunnel);
    }
    for (const TunnelId tunnel : all)
        refuse_waiting(tunnel,
                       refuse(ErrorCode::draining, "The server is stopping; try again in a moment."));
    dialer_.stop();
}

}  // namespace fallow::api

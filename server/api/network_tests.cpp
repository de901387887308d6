#include "api/network_tests.hpp"

#include <algorithm>
#include <utility>

#include "http/problem.hpp"

namespace fallow::api {
namespace {

/// What a host's whole allowance takes to come back.
constexpr Millis allowance(network_test_bytes_per_host_max* hours(1).count /
                           network_test_bytes_per_host_and_hour);

static_assert(network_test_bytes_max <= network_test_bytes_per_host_max);
static_assert(network_test_transfer < network_test_visit);

Error later(std::string detail, Millis wait) {
    Error error = refuse(ErrorCode::rate_limited, std::move(detail));
    error.facts = std::make_shared<http::RetryAfter>((wait.count + 999) / 1000);
    return error;
}

Millis cost_for_host(std::int64_t bytes) {
    return Millis(std::max(bytes, network_test_bytes_counted_min) * hours(1).count /
                  network_test_bytes_per_host_and_hour);
}

}  // namespace

NetworkTests::NetworkTests(std::int64_t hosts_max, std::int64_t bytes_per_s, std::function<Time()> now)
    : hosts_max_(hosts_max), bytes_per_s_(bytes_per_s), now_(std::move(now)) {}

Status NetworkTests::check(HostId host, Millis cost, Time now) const {
    if (const auto at = allowance_whole_at_.find(host);
        at != allowance_whole_at_.end() && at->second + cost - now > allowance)
        return later("The host has measured its network often enough for now.",
                     at->second + cost - now - allowance);
    if (const auto at = visits_.find(host); at != visits_.end()) {
        if (at->second.moves)
            return later("A host measures one way at a time: wait for the transfer that is under way.",
                         seconds(1));
        if (now > at->second.until)
            return later("A measurement takes a minute at most: begin another one later.",
                         network_test_visit);
        return Done{};
    }
    if (hosts_max_ == 0)
        return later("This server measures no networks (network_tests_max = 0).", hours(24));
    if (std::cmp_greater_equal(visits_.size(), hosts_max_))
        return later("Other hosts measure their networks at the moment.", network_test_visit);
    if (paid_until_ > now)
        return later("Measurements have moved as much as they may for now.", paid_until_ - now);
    return Done{};
}

Result<NetworkTests::Place> NetworkTests::begin(HostId host, std::int64_t bytes) {
    const Millis cost = cost_for_host(bytes);
    const std::lock_guard lock(mutex_);
    const Time now = now_();
    forget_idle(now);
    if (const Status good = check(host, cost, now); !good) return good.error();
    // From here it must succeed. A measurement that has begun may run into debt; the next waits for it.
    Time& whole_at = allowance_whole_at_[host];
    whole_at = std::max(whole_at, now) + cost;
    paid_until_ = std::max(paid_until_, now) + Millis(bytes * 1000 / bytes_per_s_);
    Visit& visit = visits_.try_emplace(host, Visit{now + network_test_visit, {}, false}).first->second;
    visit.moves = true;
    return Place(this, [this, host](const void*) { end(host); });
}

void NetworkTests::end(HostId host) {
    const std::lock_guard lock(mutex_);
    const auto at = visits_.find(host);
    if (at == visits_.end()) return;
    at->second.moves = false;
    at->second.kept_to = now_() + network_test_idle;
}

void NetworkTests::forget_idle(Time now) {
    std::erase_if(visits_,
                  [&](const auto& visit) { return !visit.second.moves && visit.second.kept_to <= now; });
    if (allowance_whole_at_.size() < sweep_at_) return;
    std::erase_if(allowance_whole_at_, [&](const auto& host) { return host.second <= now; });
    sweep_at_ = std::max<std::size_t>(1024, 2 * allowance_whole_at_.size());
}

}  // namespace fallow::api

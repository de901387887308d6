// How many event streams an organization may hold open at once.
#pragma once

#include <memory>
#include <mutex>
#include <unordered_map>

#include "base/ids.hpp"

namespace fallow::api {

inline constexpr int streams_per_organization_max = 100;

class StreamLimits {
  public:
    /// Holds one place until it is destroyed.
    class Place {
      public:
        Place(StreamLimits& limits, OrganizationId organization)
            : limits_(limits), organization_(organization) {}
        ~Place() { limits_.leave(organization_); }
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;

      private:
        StreamLimits& limits_;
        OrganizationId organization_;
    };

    /// Nothing when the organization is at its limit.
    [[nodiscard]] std::unique_ptr<Place> enter(OrganizationId organization) {
        const std::lock_guard lock(mutex_);
        int& count = open_[organization];
        if (count >= streams_per_organization_max) return nullptr;
        ++count;
        return std::make_unique<Place>(*this, organization);
    }

  private:
    void leave(OrganizationId organization) {
        const std::lock_guard lock(mutex_);
        const auto at = open_.find(organization);
        if (at != open_.end() && --at->second == 0) open_.erase(at);
    }

    std::mutex mutex_;
    std::unordered_map<OrganizationId, int> open_;
};

}  // namespace fallow::api

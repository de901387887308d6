// Ports of running jobs as web sites, each under a name of its own, for whoever has the renter's API key: a
// request is let through by a tunnel into the job, and the rest is http/guest_relay's. The API itself is
// not to be had under these names, and no guest under the API's.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>

#include "api/app_names.hpp"
#include "api/authenticator.hpp"
#include "api/services.hpp"
#include "http/service.hpp"

namespace fallow::api {

inline constexpr int app_connections_per_job_max = 32;  ///< at one server

/// How many connections lead to each job, by whose they are: nobody can take another's places.
class AppPlaces {
  public:
    /// Kept for as long as the connection is; null when the job has as many as it may.
    [[nodiscard]] std::shared_ptr<const void> enter(const std::string& job);

  private:
    struct Counts {
        std::mutex mutex;
        std::unordered_map<std::string, int> per_job;
    };
    struct Place;
    const std::shared_ptr<Counts> counts_ = std::make_shared<Counts>();
};

class Apps {
  public:
    Apps(Services& services, Authenticator& authenticator);

    /// By its Host alone. What is below the domain never reaches the API.
    [[nodiscard]] bool is_for_app(const http::Request& request) const;
    [[nodiscard]] Result<http::BodyLimit> on_head() const;
    void handle(http::Request request, std::function<void(http::Reply)> respond);

  private:
    struct Call;
    using CallPtr = std::shared_ptr<Call>;

    [[nodiscard]] std::optional<AppGrant> grant_of(const CallPtr& call, const std::string* pass,
                                                   AppPass kind) const;
    void sign_in(const CallPtr& call);
    void let_in(const CallPtr& call, const Identity& identity);

    Services& services_;
    Authenticator& authenticator_;
    const std::string secret_;
    AppPlaces places_;
};

}  // namespace fallow::api

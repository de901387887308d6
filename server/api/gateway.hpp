// The Service behind the HTTP server: finds the route, authenticates, checks access, dispatches, and turns
// whatever comes of it into one reply.
#pragma once

#include <vector>

#include "api/apps.hpp"
#include "api/authenticator.hpp"
#include "api/route.hpp"
#include "api/services.hpp"
#include "http/router.hpp"
#include "http/service.hpp"

namespace fallow::api {

class Gateway : public http::Service {
  public:
    explicit Gateway(Services& services, const IdentityWatch* watch = nullptr);

    [[nodiscard]] Result<http::BodyLimit> on_head(const http::Request& head) override;
    void handle(http::Request request, std::function<void(http::Reply)> respond) override;

  private:
    Result<http::BodyLimit> admit_upload(const http::Request& head, const Route& route);
    Result<http::RouteMatch> match(const http::Request& request) const;
    http::Reply no_route(const http::Request& request, const Error& error) const;
    void dispatch(const ExchangePtr& exchange);
    void run(const ExchangePtr& exchange);
    [[nodiscard]] bool is_served_while_draining(const http::Request& head) const;

    Services& services_;
    Authenticator authenticator_;
    Apps apps_;
    const std::vector<Route> routes_;
    http::Router router_;
};

/// Ends an exchange: the reply, or the problem that the error is. Called once for each.
void finish(const ExchangePtr& exchange, Result<http::Reply> result);

/// Ends an exchange after an exception, which is logged.
void finish_failed(const ExchangePtr& exchange, Services& services, std::string_view what);
/// The same for the database's errors: a session that broke is no failure of the server's, and a retry can
/// help.
void finish_failed(const ExchangePtr& exchange, Services& services, const store::DatabaseError& error);

}  // namespace fallow::api

// How a machine becomes a host: a token once, then certificates that it renews by itself.
#pragma once

#include "api/route.hpp"

namespace fallow::api {

/// Reserves the token, tells the engine, records a certificate. Each step can be repeated with the same
/// token and signing key, so a lost reply or a crash between two of them loses nothing; another key is
/// refused from the first on.
void enroll(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done);

/// A new certificate for the host that asks.
[[nodiscard]] Result<http::Reply> renew_certificate(JobCall& call);

}  // namespace fallow::api

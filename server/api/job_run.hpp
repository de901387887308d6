// Runs a Job route: one worker, one transaction, idempotency in that same transaction.
#pragma once

#include <string>

#include "accounts/accounts.hpp"
#include "api/route.hpp"
#include "api/services.hpp"

namespace fallow::api {

/// Queues the job and answers the exchange when it is done; queue_full when there is no room.
void run_job(const ExchangePtr& exchange, Services& services);

/// As whom a job's transaction acts.
[[nodiscard]] store::Actor database_actor(JobHandler::As as, const auth::Actor& actor);

/// (organization, route, key) and the hash of path and body, for a request with an Idempotency-Key.
[[nodiscard]] accounts::IdempotencyKey idempotency_key_of(const Exchange& exchange);

}  // namespace fallow::api

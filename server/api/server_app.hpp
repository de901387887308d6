// The server as a whole: makes every part from a configuration, wires them, runs until it is told to stop,
// and takes them down in order. The only place where clocks, randomness and threads of the program are
// made.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ops/config.hpp"
#include "ops/log.hpp"

namespace fallow::api {

/// Throws std::exception with a sentence for the operator when the server cannot start.
class ServerApp {
  public:
    ServerApp(ops::Config config, ops::Log& log);
    ~ServerApp();
    ServerApp(const ServerApp&) = delete;
    ServerApp& operator=(const ServerApp&) = delete;

    /// Returns when requests are answered; the market may still be waiting for its leadership. `on_failure`
    /// is called from another thread when that fails for good.
    void start(std::function<void()> on_failure);
    /// Refuses new work, lets what runs finish within drain_timeout_ms, and stops every part. Idempotent.
    void stop();

    [[nodiscard]] std::string url() const;

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Makes the schema of a database, or brings it up to date; `url` logs in as a superuser or the owner.
void migrate_database(const std::string& url, ops::Log& log);

}  // namespace fallow::api

// A private PostgreSQL for an installation of one machine: made, started, adopted and stopped by its owner.
// It listens on a unix socket alone and knows its clients by their user id. Not a way to run a cluster.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/time.hpp"

namespace fallow::store {

struct ManagedPostgresSettings {
    std::filesystem::path
        directory;  ///< made when missing; the user who runs PostgreSQL must be able to reach it
    std::filesystem::path binaries = "/usr/lib/postgresql/15/bin";
    Millis ready_timeout = seconds(60);
    Millis stop_timeout = seconds(60);
    bool durable = true;           ///< false: no fsync. For tests, whose data need not outlive a power cut
    bool die_with_parent = false;  ///< for tests: ends when the thread that started it ends
};

/// Runs from construction to stop(), or to destruction. When this process is killed PostgreSQL goes on, and
/// the next ManagedPostgres of the same directory takes it over.
class ManagedPostgres {
  public:
    /// Throws std::runtime_error that says what to do, with the end of PostgreSQL's own log where there is
    /// one.
    explicit ManagedPostgres(ManagedPostgresSettings settings);
    ~ManagedPostgres();
    ManagedPostgres(const ManagedPostgres&) = delete;
    ManagedPostgres& operator=(const ManagedPostgres&) = delete;

    /// Connection strings of the database `fallow` for role `fallow`, and for the cluster's superuser, who
    /// migrates.
    [[nodiscard]] std::string url() const { return url_of("fallow", "fallow"); }
    [[nodiscard]] std::string superuser_url() const { return url_of("fallow", "postgres"); }
    [[nodiscard]] std::string url_of(const std::string& database, const std::string& role) const;

    /// Whether it was found running.
    [[nodiscard]] bool adopted() const;
    [[nodiscard]] int process_id() const;

    /// A fast shutdown: open transactions are rolled back, the data are safe. Harmless when it was stopped.
    void stop();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace fallow::store

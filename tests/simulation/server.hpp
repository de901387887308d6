// A fallowd: the real engine::Writer, its three roles played by events instead of threads, behind just
// enough of an API for the virtual network.
#pragma once

#include <memory>

#include "engine/writer.hpp"
#include "simulation/database.hpp"

namespace fallow::sim {

struct Answer {
    std::int32_t status = 0;
    std::string body;
    bool replayed = false;
    std::optional<market::Outcome> outcome;  ///< nothing in a replay
};
using Answered = std::function<void(Answer)>;

struct Beaten {
    std::int64_t epoch = 0;
    Time server_time;
};

/// What an agent is told: its host's leases that are not released, with their jobs.
struct DesiredRow {
    market::Lease lease;
    std::optional<market::Job> job;
    std::vector<std::string> card_uuids;
};
struct DesiredRows {
    bool is_known = false;  ///< false: 503
    std::string version;
    std::int64_t epoch = 0;
    Time server_time;
    std::vector<DesiredRow> leases;
};

class Server final : public Process {
  public:
    Server(World& world, Database& database, std::string name, Millis clock_offset,
           const market::Rules& rules);

    void request(const market::Command& command, const market::Caller& caller,
                 std::optional<engine::IdempotencyKey> key, Answered answered);
    /// Nothing when the database has not confirmed the epoch just now.
    void heartbeat(HostId host, std::function<void(std::optional<Beaten>)> answered);
    void desired(HostId host, const std::string& version, Millis wait,
                 std::function<void(DesiredRows)> answered);

    [[nodiscard]] bool is_leading() const { return is_up() && writer_->is_leading(); }
    /// Commands that were taken and not answered.
    [[nodiscard]] int unanswered() const { return unanswered_; }
    [[nodiscard]] std::uint64_t quarantined() const { return is_up() ? writer_->stats().quarantined : 0; }
    /// A host's heartbeat has reached the leader.
    std::function<void(HostId)> on_heartbeat;

  protected:
    void on_boot() override;
    void on_killed() override;

  private:
    void lead();
    void beat();
    void idle();
    void pump();
    void begin_commit();
    void commit();
    void end_commit(engine::Writer::Commit came);
    void publish(const std::string& topic);
    [[nodiscard]] DesiredRows read_desired(HostId host);
    [[nodiscard]] Time clock() const { return world_.now() + clock_offset_; }
    [[nodiscard]] Millis database_delay();

    Database& database_;
    const Millis clock_offset_;
    const market::Rules rules_;
    std::unique_ptr<Session> session_;
    std::unique_ptr<Session> beat_session_;
    std::unique_ptr<engine::Writer> writer_;
    bool is_taken_ = false;       ///< the row is ours, the market not read yet
    bool is_pumping_ = false;     ///< a pump() is on its way
    bool is_committing_ = false;  ///< a commit() or its end is on its way
    bool is_asked_ = false;       ///< the commit has left for the database
    int unanswered_ = 0;
    std::map<std::string, std::uint64_t> versions_;
    std::multimap<std::string, std::function<void()>> waiting_;
};

/// What the API makes of a refusal.
[[nodiscard]] std::int32_t status_of(ErrorCode code);

}  // namespace fallow::sim

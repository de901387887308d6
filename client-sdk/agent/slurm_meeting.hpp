// Where the agent and the batch job of a lease meet: files in the lease's folder, which both see. The agent
// writes the errand, the word to start and the commands to be run in the guest, the job writes its status,
// the guest's output and how those commands ended. Each file has one writer, and is whole at any moment;
// the output only grows.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/guest_profile.hpp"
#include "agent/lease.hpp"

namespace fallow::agent {

/// The folder `slurm` of a lease.
struct SlurmMeeting {
    std::filesystem::path folder;

    [[nodiscard]] std::filesystem::path errand() const { return folder / "errand.json"; }
    [[nodiscard]] std::filesystem::path script() const { return folder / "job.sh"; }
    [[nodiscard]] std::filesystem::path job() const { return folder / "job"; }  ///< its number
    [[nodiscard]] std::filesystem::path start() const { return folder / "start"; }
    [[nodiscard]] std::filesystem::path status() const { return folder / "status.json"; }
    [[nodiscard]] std::filesystem::path output() const { return folder / "output"; }  ///< in log frames
    [[nodiscard]] std::filesystem::path journal() const { return folder / "job.log"; }
    [[nodiscard]] std::filesystem::path look() const { return folder / "look.json"; }
    [[nodiscard]] std::filesystem::path looked() const { return folder / "looked.json"; }
};

[[nodiscard]] SlurmMeeting meeting_of(const std::filesystem::path& lease_folder);

/// What the job is to do on its node.
struct SlurmErrand {
    DesiredLease lease;
    std::string host_id;
    std::string engine_socket;
    std::string runtime;
    bool user_namespace = true;
    GuestFolders folders;
    /// The node is another host than the agent's: there it mounts the working storage, and kills its guest
    /// when no heartbeat has been acknowledged for `lease.fence_ms`.
    bool is_elsewhere = false;
    std::string pulse_file;
};

/// How the agent asks the batch script. Slurm itself says SIGTERM, and SIGKILL some time later.
inline constexpr const char* slurm_signal_terminate = "USR1";
inline constexpr const char* slurm_signal_kill = "USR2";

enum class SlurmPhase { pulling, prepared, running, exited, failed };

struct SlurmStatus {
    SlurmPhase phase = SlurmPhase::pulling;
    std::string container_id;  ///< from `prepared` on
    std::int64_t pid = 0;      ///< on the node
    std::int64_t started_unix_ms = 0;
    std::int64_t finished_unix_ms = 0;
    std::int64_t exit_code = 0;
    bool oom_killed = false;
    bool is_cleaned = false;    ///< neither the container nor a mount is left on the node
    bool image_failed = false;  ///< of `failed`
    std::string detail;         ///< of `failed`
    friend bool operator==(const SlurmStatus&, const SlurmStatus&) = default;
};

/// A command that the job is to run in the guest: each number once, in order.
struct SlurmLook {
    std::int64_t number = 0;
    std::vector<std::string> command;
    std::int64_t timeout_ms = 0;
    friend bool operator==(const SlurmLook&, const SlurmLook&) = default;
};

/// How the command of that number ended.
struct SlurmLooked {
    std::int64_t number = 0;
    std::optional<std::int64_t> exit_code;  ///< nothing: it had not ended in time
    std::string problem;                    ///< not empty: it could not be run
    friend bool operator==(const SlurmLooked&, const SlurmLooked&) = default;
};

[[nodiscard]] std::string encode_errand(const SlurmErrand& errand);
[[nodiscard]] std::string encode_status(const SlurmStatus& status);
[[nodiscard]] std::string encode_look(const SlurmLook& look);
[[nodiscard]] std::string encode_looked(const SlurmLooked& looked);
/// All throw std::runtime_error on anything the functions above did not write.
[[nodiscard]] SlurmErrand parse_errand(std::string_view text);
[[nodiscard]] SlurmStatus parse_status(std::string_view text);
[[nodiscard]] SlurmLook parse_look(std::string_view text);
[[nodiscard]] SlurmLooked parse_looked(std::string_view text);

/// Nothing when the job has not said anything yet.
[[nodiscard]] std::optional<SlurmStatus> read_status(const SlurmMeeting& meeting);
/// Nothing when none has been asked for, or has ended.
[[nodiscard]] std::optional<SlurmLook> read_look(const SlurmMeeting& meeting);
[[nodiscard]] std::optional<SlurmLooked> read_looked(const SlurmMeeting& meeting);
/// Empty when there is none.
[[nodiscard]] std::string read_job(const SlurmMeeting& meeting);

}  // namespace fallow::agent

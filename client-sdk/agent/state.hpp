// The agent's state folder: who this host is, and one small record per lease. Every write is a new file,
// synced unless it is said otherwise, renamed over the old one: after a kill at any moment a reader finds
// the old content or the new, never a mixture.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/lease.hpp"

namespace fallow::agent {

[[nodiscard]] std::string read_file(const std::filesystem::path& path);
/// `secret` files are readable by their owner alone from their first moment. One that is not `synced` is
/// there after a kill, but perhaps not when the host was cut off from its power.
void write_file_atomically(const std::filesystem::path& path, std::string_view content, bool secret = false,
                           bool synced = true);

/// What enrolment yielded.
struct Identity {
    std::string url;
    std::string host_id;
    std::string server_key;  ///< base64 Ed25519, pinned
    std::string market;
    std::int64_t heartbeat_interval_ms = 5000;
};

/// How far a lease's log has been taken over by the server. The octets before `consumed_bytes` of the
/// container's output, both streams in the engine's order, lie in entries below `next_sequence`.
struct LogPosition {
    std::int64_t next_sequence = 0;
    std::int64_t consumed_bytes = 0;
    /// Sizes of the entries that were about to be sent from here when this was written. Whether the server
    /// has them is not known, so they are cut in the same way again: then it can tell a repetition by its
    /// sequence.
    std::vector<std::int64_t> pending;
    /// Of the agent's own lines to the renter, which lie in entries of their own and are no output: the
    /// highest percentage of the traffic's limit that was told, and one about to be, at `next_sequence`.
    std::int64_t told_percent = 0;
    std::int64_t telling_percent = 0;
    friend bool operator==(const LogPosition&, const LogPosition&) = default;
};

class StateFolder {
  public:
    /// Makes the folder, for its owner alone, when it is not there.
    explicit StateFolder(std::filesystem::path root);

    [[nodiscard]] bool is_enrolled() const;
    [[nodiscard]] Identity identity() const;
    void save_identity(const Identity& identity) const;

    [[nodiscard]] std::filesystem::path ca_file() const { return root_ / "ca.pem"; }
    [[nodiscard]] std::filesystem::path certificate_file() const { return root_ / "tls.crt"; }
    [[nodiscard]] std::filesystem::path tls_key_file() const { return root_ / "tls.key"; }
    [[nodiscard]] std::filesystem::path signing_key_file() const { return root_ / "signing.key"; }
    [[nodiscard]] std::filesystem::path lease_folder(const std::string& lease_id) const;
    /// Where empty volumes are kept (volume_image.hpp).
    [[nodiscard]] std::filesystem::path volumes_folder() const { return root_ / "volumes"; }

    /// The highest scheduler epoch ever seen; 0 at first.
    [[nodiscard]] std::int64_t highest_epoch() const;
    void save_highest_epoch(std::int64_t epoch) const;

    /// The last acknowledged heartbeat: when it was sent, and the server's clock less the boot clock by it.
    struct Acknowledged {
        std::int64_t boot_ms = 0;
        std::int64_t server_offset_ms = 0;
        friend bool operator==(const Acknowledged&, const Acknowledged&) = default;
    };
    /// Nothing when there is none of this boot. The guard reads the file, too.
    [[nodiscard]] std::optional<Acknowledged> acknowledged_heartbeat(const std::string& boot_id) const;
    void save_acknowledged_heartbeat(const std::string& boot_id, const Acknowledged& acknowledged) const;

    /// All records; one that cannot be read is left out and its path put into `unreadable`.
    [[nodiscard]] std::vector<LeaseRecord> load_records(std::vector<std::string>& unreadable) const;
    [[nodiscard]] bool has_record(const std::string& lease_id) const;
    void save_record(const LeaseRecord& record, bool synced = true) const;
    [[nodiscard]] LogPosition log_position(const std::string& lease_id) const;
    void save_log_position(const std::string& lease_id, const LogPosition& position) const;
    void forget(const std::string& lease_id) const;

    /// One agent per state folder: an exclusive lock that the kernel drops with the process. Throws when
    /// taken.
    void lock();
    ~StateFolder();
    StateFolder(const StateFolder&) = delete;
    StateFolder& operator=(const StateFolder&) = delete;

  private:
    std::filesystem::path root_;
    int lock_fd_ = -1;
};

/// "lease_" and 26 lower-case digits or letters: what may become a file name and a container name.
[[nodiscard]] bool is_lease_id(std::string_view text);

}  // namespace fallow::agent

// The agent's side of the server's agent routes: each function is one request. It retries nothing and
// decides nothing; what a refusal means is the caller's business.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "agent/checkpoint_folder.hpp"
#include "agent/lease.hpp"
#include "agent/log_frames.hpp"
#include "agent/network_speed.hpp"
#include "agent/state.hpp"
#include "agent/telemetry_series.hpp"
#include "agent/transfer_progress.hpp"
#include "fallow/http_client.hpp"

namespace fallow::agent {

/// The server answered, with a problem.
class ServerError : public std::runtime_error {
  public:
    ServerError(int status, std::string code, const std::string& detail, std::int64_t retry_after_ms = 0)
        : std::runtime_error(code + ": " + detail),
          status_(status),
          code_(std::move(code)),
          retry_after_ms_(retry_after_ms) {}
    [[nodiscard]] int status() const { return status_; }
    [[nodiscard]] const std::string& code() const { return code_; }
    [[nodiscard]] std::int64_t retry_after_ms() const { return retry_after_ms_; }  ///< 0: it did not say
    /// The same request cannot succeed later: the server has understood it and does not want it.
    [[nodiscard]] bool is_final() const;

  private:
    int status_;
    std::string code_;
    std::int64_t retry_after_ms_;
};

struct EnrollRequest {
    std::string token;
    std::string csr;
    std::string signing_key;  ///< base64 Ed25519 public key
    std::string proof;        ///< base64 signature over "fallow-enroll-v1\n" + token
    std::string runtime;
    std::string engine;
    std::int64_t cpu_cores = 0;
    std::int64_t memory_bytes = 0;
};

struct EnrollReply {
    Identity identity;  ///< url is left empty
    std::string certificate;
};

struct LeasePhase {
    std::string lease_id;
    std::int64_t lease_epoch = 0;
    std::string phase;
};

struct HeartbeatReply {
    std::int64_t epoch = 0;
    std::int64_t server_unix_ms = 0;
    std::int64_t next_heartbeat_ms = 0;
    std::int64_t idle_heartbeat_ms = 0;  ///< the same while the host has no lease
    std::int64_t timeout_ms = 0;         ///< of the next one
    std::int64_t idle_return_ms = 0;     ///< for hosts without a lease to come back, were the server gone
};

/// What a report says beyond its phase; only the fields of that phase are sent.
struct Report {
    std::int64_t lease_epoch = 0;
    std::string phase;
    std::string container_id;
    std::string boot_id;
    std::int64_t restarts = 0;  ///< of running: how often the container was started again
    std::optional<ContainerExit> exit;
    StopCause stop_cause = StopCause::none;  ///< what made it exit; none: it ended by itself
    std::optional<LeaseFailure> failure;
    std::optional<std::int64_t> notice_ms;  ///< of a reclaim, what is left of it
};

struct UsageReply {
    std::string nonce;
    std::int64_t sequence = 0;
    std::optional<std::int64_t> paid_until_unix_ms;  ///< on the server's clock
};

struct LogEntry {
    LogStream stream = LogStream::standard_output;
    std::int64_t unix_ms = 0;
    std::string data;
};

struct InputArtifact {
    std::string path;
    std::string artifact_id;
    std::int64_t bytes = 0;
    std::string sha256;
};

/// A file, folder or link of a checkpoint.
struct CheckpointEntry {
    std::string path;  ///< below the checkpoint's folder
    EntryKind kind = EntryKind::file;
    std::int32_t mode = 0;
    std::int64_t bytes = 0;
    std::int64_t modified_unix_ms = 0;
    std::string target;               ///< of a link
    std::vector<std::string> chunks;  ///< of a file: the SHA-256 of each 1 MiB
    friend bool operator==(const CheckpointEntry&, const CheckpointEntry&) = default;
};

/// A declared output as it is saved: the SHA-256 of each 1 MiB, and of all of it.
struct OutputFile {
    std::string path;
    std::int64_t bytes = 0;
    std::string sha256;
    std::vector<std::string> chunks;
    friend bool operator==(const OutputFile&, const OutputFile&) = default;
};

struct SecretValue {
    std::string name;
    std::string octets;
};
struct LeaseSecrets {
    std::vector<SecretValue> files;
    std::optional<SecretValue> registry;  ///< what the image is pulled with, which becomes no file
};

struct StoredCheckpoint {
    std::int64_t number = 0;
    std::vector<CheckpointEntry> entries;
};

inline constexpr std::string_view agent_version = "0.1.0";

/// One thread at a time. Throws ServerError and sdk::TransportError.
/// Connections to the server that nobody uses now, for whoever asks it next: a handshake costs more than
/// most of what is asked. Any thread.
class IdleConnections {
  public:
    /// Nothing where none is left that was made with this certificate.
    [[nodiscard]] std::unique_ptr<sdk::HttpClient> take(const std::string& certificate_stamp);
    void give(const std::string& certificate_stamp, std::unique_ptr<sdk::HttpClient> connection);

  private:
    std::mutex mutex_;
    std::string certificate_stamp_;
    std::vector<std::unique_ptr<sdk::HttpClient>> idle_;
};

class ServerLink {
  public:
    /// Before enrolment: no client certificate.
    ServerLink(const std::string& url, const std::string& ca_file);
    /// After it. The certificate is read anew once it has been renewed; the server's is judged by its own
    /// clock, as the heartbeats know it. Of all links with the same `idle` connections that clock is one.
    ServerLink(const StateFolder& state, std::function<std::int64_t()> server_unix_ms,
               std::shared_ptr<IdleConnections> idle = nullptr);

    /// Any thread. Whether nobody listens there: no more than a connection is tried.
    [[nodiscard]] bool is_refused() const;
    [[nodiscard]] EnrollReply enroll(const EnrollRequest& request);
    /// The new certificate chain, PEM.
    [[nodiscard]] std::string renew_certificate(const std::string& csr);
    void put_inventory(const std::string& body);
    [[nodiscard]] HeartbeatReply heartbeat(const std::string& boot_id, std::int64_t sequence,
                                           const std::vector<LeasePhase>& leases, std::int64_t timeout_ms);
    /// Waits up to `wait_ms` for a state other than `known_version`; an empty one asks for an answer at
    /// once.
    /// `server_offset_ms`: the server's clock less the boot clock, as far as known.
    [[nodiscard]] Desired desired(const std::string& known_version, std::int64_t wait_ms,
                                  std::int64_t server_offset_ms, std::stop_token stop);

    /// The server's nonce for the next usage statement.
    std::string report(const std::string& lease_id, const Report& report);
    /// Where this host's end of a gang's private network is, and by which key it is known.
    void put_gang_member(const std::string& lease_id, std::int64_t lease_epoch,
                         const std::string& public_key, const std::string& endpoint);
    [[nodiscard]] UsageReply state_usage(const std::string& lease_id, const std::string& statement,
                                         const std::string& signature);
    /// The sequence that the server expects next.
    [[nodiscard]] std::int64_t append_logs(const std::string& lease_id, std::int64_t first_sequence,
                                           const std::vector<LogEntry>& entries);
    [[nodiscard]] std::vector<InputArtifact> inputs(const std::string& lease_id);
    [[nodiscard]] std::string input_part(const std::string& lease_id, const std::string& artifact_id,
                                         std::int64_t part, std::stop_token stop);
    /// The id of the artifact to fill.
    [[nodiscard]] std::string begin_output(const std::string& lease_id, const std::string& path,
                                           std::int64_t bytes, const std::string& sha256);
    void put_output_part(const std::string& lease_id, const std::string& artifact_id, std::int64_t part,
                         std::string octets);
    void complete_output(const std::string& lease_id, const std::string& artifact_id);

    /// What the lease's job goes on from.
    [[nodiscard]] std::optional<StoredCheckpoint> newest_checkpoint(const std::string& lease_id);
    [[nodiscard]] std::string checkpoint_chunk(const std::string& lease_id, const std::string& sha256,
                                               std::stop_token stop);
    /// Which of them the server has not.
    [[nodiscard]] std::vector<std::string> begin_checkpoint(const std::string& lease_id,
                                                            std::int64_t lease_epoch,
                                                            const std::vector<std::string>& chunks);
    void put_checkpoint_chunk(const std::string& lease_id, const std::string& sha256, std::string octets,
                              std::stop_token stop);
    /// Its number.
    [[nodiscard]] std::int64_t commit_checkpoint(const std::string& lease_id, std::int64_t lease_epoch,
                                                 const std::vector<CheckpointEntry>& entries);
    void note_checkpoint_problem(const std::string& lease_id, std::int64_t lease_epoch,
                                 const std::string& problem);

    void send_telemetry(const std::string& lease_id, const std::vector<CardMinutes>& cards,
                        std::stop_token stop);
    void put_progress(const std::string& lease_id, const TransferProgress& progress, std::stop_token stop);
    /// Which of the files' chunks the server has not.
    [[nodiscard]] std::vector<std::string> begin_outputs(const std::string& lease_id,
                                                         std::int64_t lease_epoch,
                                                         const std::vector<OutputFile>& files);
    void put_output_chunk(const std::string& lease_id, const std::string& sha256, std::string octets,
                          std::stop_token stop);
    /// From now on these are the attempt's outputs. `sequence` rises from one to the next.
    void commit_outputs(const std::string& lease_id, std::int64_t lease_epoch, std::int64_t sequence,
                        const std::vector<OutputFile>& files);

    /// Those that the lease's job names.
    [[nodiscard]] LeaseSecrets secrets(const std::string& lease_id, std::stop_token stop);

    /// Bytes that mean nothing, to see how fast they come and go.
    [[nodiscard]] Moved test_download(std::int64_t bytes, std::stop_token stop);
    [[nodiscard]] Moved test_upload(std::int64_t bytes, std::stop_token stop);

  private:
    [[noreturn]] static void throw_problem(const sdk::HttpResponse& response);
    sdk::HttpResponse send(sdk::HttpRequest request);
    sdk::HttpResponse post(const std::string& path, std::string body);
    sdk::HttpClient& client();

    const StateFolder* state_ = nullptr;
    sdk::HttpClientOptions options_;
    std::string certificate_stamp_;
    std::shared_ptr<IdleConnections> idle_;
    std::unique_ptr<sdk::HttpClient> client_;
};

}  // namespace fallow::agent

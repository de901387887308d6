// Everything that calls a vendor's library happens in a child of this program, because a lost or hung
// driver takes down, or holds for good, whoever calls it. The agent itself only reads what the child says,
// and waits no longer than it wants to.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/inventory.hpp"
#include "agent/rocm_smi.hpp"
#include "agent/watched_process.hpp"

namespace fallow::agent {

struct ProbeOptions {
    std::filesystem::path program = "/proc/self/exe";  ///< answers to `probe`: fallow-agent
    /// What starts the program elsewhere; it may fail to, and then nothing is known.
    std::vector<std::string> launch = {};
    std::string nvml_library = "libnvidia-ml.so.1";
    std::string cuda_library = "libcuda.so.1";
    std::string opencl_library = "libOpenCL.so.1";
    std::string drm_folder = "/sys/class/drm";  ///< where amdgpu tells of its cards
    std::string rocm_library = rocm_library_default;
    std::vector<std::string> cdi_folders = {"/etc/cdi", "/var/run/cdi"};  ///< what engines can name
    std::int64_t cpu_bytes_max = 256LL * 1024 * 1024;  ///< how much of a CPU device's memory is tried
    WatchLimits find_limits = {.silence_ms = 30'000, .total_ms = 60'000};
    WatchLimits verify_limits = {};
    /// A driver may take seconds to start a card that nothing keeps awake; who cannot wait stops it.
    WatchLimits scrub_limits = {.silence_ms = 20'000, .total_ms = 20'000};
};

struct FoundCards {
    std::vector<CardFacts> cards;       ///< with their claims; nothing is measured
    std::vector<std::string> problems;  ///< what did not answer, in a sentence each
};

/// What of a card's memory was overwritten and read back as overwritten.
struct ScrubResult {
    std::int64_t reported_bytes = 0;  ///< what the device says it has
    std::int64_t scrubbed_bytes = 0;
    std::string problem;  ///< why it was not scrubbed, in a sentence; empty when it was
    friend bool operator==(const ScrubResult&, const ScrubResult&) = default;
};

/// Where cards are found, measured and scrubbed. One thread at a time.
class CardSource {
  public:
    CardSource() = default;
    virtual ~CardSource() = default;
    CardSource(const CardSource&) = delete;
    CardSource& operator=(const CardSource&) = delete;

    [[nodiscard]] virtual FoundCards find(std::stop_token stop) = 0;
    /// Measures and judges. Nothing when `stop` came first, or it cannot be measured now.
    [[nodiscard]] virtual std::optional<Verification> verify(const CardFacts& card,
                                                             std::stop_token stop) = 0;
    /// Overwrites what memory of the card is free, and reads it back. Nothing when `stop` came first, or it
    /// is not to be done from here: a cluster sees to its cards.
    [[nodiscard]] virtual std::optional<ScrubResult> scrub(const CardFacts&, std::stop_token) {
        return std::nullopt;
    }
};

/// This host's, or those of the machine where `ProbeOptions::launch` starts the child.
class CardProbe final : public CardSource {
  public:
    explicit CardProbe(ProbeOptions options);

    [[nodiscard]] FoundCards find(std::stop_token stop) override;
    [[nodiscard]] std::optional<Verification> verify(const CardFacts& card, std::stop_token stop) override;
    /// Those that are on NVIDIA's cards now, by the cards' uuids; a card of which NVML does not tell is not
    /// there.
    [[nodiscard]] std::map<std::string, std::vector<CardProcess>> processes(std::stop_token stop);
    [[nodiscard]] std::optional<ScrubResult> scrub(const CardFacts& card, std::stop_token stop) override;

  private:
    WatchedProcess work_on(const char* what, const CardFacts& card, const WatchLimits& limits,
                           std::stop_token stop);
    WatchedProcess run(const std::vector<std::string>& words, const WatchLimits& limits,
                       std::stop_token stop);

    ProbeOptions options_;
    std::optional<pid_t> stuck_;  ///< a child that the driver does not let die: no second one beside it
};

/// The child's side: what `fallow-agent probe` does. The result is the last line of standard output; before
/// it, a line for each step that was done.
struct ProbeRequest {
    /// "nvml", "opencl", "amdgpu", "rocm", "verify", "scrub" or "watch" (gpu_reading.hpp)
    std::string what;
    std::string nvml_library;
    std::string cuda_library;
    std::string opencl_library;
    std::string drm_folder;
    std::string rocm_library;
    // verify, scrub: which device; empty: this library does not name it
    std::string opencl_uuid;
    std::string nvml_uuid;
    std::string xid_uuid;  ///< verify: whose Xids are listened for; empty: nobody's
    std::int64_t cpu_bytes_max = 0;
    std::int64_t period_ms = 1000;  ///< watch: from one reading to the next
};
int answer_probe(const ProbeRequest& request);

}  // namespace fallow::agent

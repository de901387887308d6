// How busy the owner's cards are, who is on them, and which programs run: NVML for NVIDIA's, the kernel's
// gpu_busy_percent for others on the PCI bus, the processors' own time for a CPU device. Each reading is of
// one moment, or of the time since the reading before.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "agent/inventory.hpp"

namespace fallow::agent {

/// Of all processors, in clock ticks since the boot.
struct ProcessorTime {
    std::int64_t busy = 0;
    std::int64_t all = 0;
};
/// proc(5), /proc/stat: its first line.
[[nodiscard]] std::optional<ProcessorTime> parse_processor_time(std::string_view text);

/// Names of the programs that run on this host, those of the given containers left out, because a renter's
/// program is none of the owner's, whatever it calls itself: `comm`, the last part of the first word of the
/// command line, and an interpreter's script.
[[nodiscard]] std::set<std::string> running_programs(const std::vector<std::string>& containers);

class UseSampler {
  public:
    /// `nvml`: the library's name, which need not be there.
    explicit UseSampler(const std::string& nvml);
    ~UseSampler();
    UseSampler(const UseSampler&) = delete;
    UseSampler& operator=(const UseSampler&) = delete;

    /// By uuid; a card of which nothing is known is left out.
    [[nodiscard]] std::map<std::string, std::int64_t> percents(const std::vector<CardFacts>& cards);
    /// By uuid, the first process that computes on the card and is neither in one of these containers nor
    /// the agent's own; NVML alone tells.
    [[nodiscard]] std::map<std::string, std::string> users(const std::vector<CardFacts>& cards,
                                                           const std::vector<std::string>& containers);

  private:
    [[nodiscard]] std::optional<std::int64_t> processors();

    struct Nvml;
    std::unique_ptr<Nvml> nvml_;
    std::optional<ProcessorTime> last_;
};

}  // namespace fallow::agent

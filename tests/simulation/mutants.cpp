#include "simulation/mutants.hpp"

#include <array>
#include <cstdio>
#include <filesystem>
#include <set>

namespace fallow::sim {
namespace {

constexpr std::string_view prefix = "fallow-mutant-";

/// The first line of its output that says what was broken; empty when it ended well.
std::string first_finding(const std::filesystem::path& program, std::uint64_t seeds) {
    const std::string command = program.string() + " --stop --seeds " + std::to_string(seeds) + " 2>&1";
    FILE* output = popen(command.c_str(), "r");
    if (output == nullptr) return "";
    std::string finding;
    std::array<char, 1024> line{};
    while (std::fgets(line.data(), line.size(), output) != nullptr) {
        const std::string text = line.data();
        const bool tells = text.starts_with("VIOLATION") || text.starts_with("fallow: assertion");
        if (tells && finding.empty()) finding = text.substr(0, text.find('\n'));
    }
    return pclose(output) == 0 ? "" : finding.empty() ? "it died" : finding;
}

}  // namespace

MutantTotals run_mutants(std::uint64_t seeds, const std::string& only) {
    const auto folder = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    std::set<std::filesystem::path> programs;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        const std::string name = entry.path().filename().string();
        if (!name.starts_with(prefix)) continue;
        if (only.empty() || name == std::string(prefix) + only) programs.insert(entry.path());
    }
    MutantTotals totals;
    for (const auto& program : programs) {
        const std::string finding = first_finding(program, seeds);
        ++totals.mutants;
        totals.found += finding.empty() ? 0 : 1;
        std::printf("%-24s %s\n", program.filename().string().substr(prefix.size()).c_str(),
                    finding.empty() ? "NOT FOUND" : finding.c_str());
        std::fflush(stdout);
    }
    return totals;
}

}  // namespace fallow::sim

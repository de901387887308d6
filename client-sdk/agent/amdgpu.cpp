#include "agent/amdgpu.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>

#include "agent/opencl.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr const char* amd = "0x1002";  // PCI's number for the maker
constexpr std::size_t lines_max = 64;

std::optional<std::string> line_in(const fs::path& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line)) return std::nullopt;
    line.resize(std::min<std::size_t>(line.size(), 128));
    while (!line.empty() && line.back() == ' ')
        line.pop_back();
    return line.empty() ? std::nullopt : std::optional(line);
}

std::vector<std::string> lines_in(const fs::path& path) {
    std::ifstream file(path);
    std::vector<std::string> lines;
    for (std::string line; lines.size() < lines_max && std::getline(file, line);)
        lines.push_back(line);
    return lines;
}

/// The number that `text` begins with.
std::optional<std::int64_t> number_of(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc{} && end != text.data() ? std::optional(value) : std::nullopt;
}

std::optional<std::int64_t> number_in(const fs::path& path) {
    const auto line = line_in(path);
    return line ? number_of(*line) : std::nullopt;
}

/// What follows `start` in the first line that begins with it.
std::optional<std::string> entry_in(const fs::path& path, const std::string& start) {
    for (const std::string& line : lines_in(path))
        if (line.starts_with(start)) return line.substr(start.size());
    return std::nullopt;
}

/// "16.0 GT/s PCIe" is generation 4.
std::optional<std::int64_t> pcie_generation(const std::optional<std::string>& speed) {
    static constexpr std::array<std::string_view, 6> speeds{"2.5", "5", "8", "16", "32", "64"};
    if (!speed) return std::nullopt;
    std::string rate = speed->substr(0, speed->find(' '));
    if (rate.ends_with(".0")) rate.resize(rate.size() - 2);
    const auto* const found = std::find(speeds.begin(), speeds.end(), rate);
    return found == speeds.end() ? std::nullopt : std::optional<std::int64_t>(found - speeds.begin() + 1);
}

/// Lines like "1: 1700Mhz *": the last is the highest, the star is now.
void read_clocks(const fs::path& device, CardFacts& card) {
    for (const std::string& line : lines_in(device / "pp_dpm_sclk")) {
        const auto colon = line.find(": ");
        const auto mhz = colon == line.npos ? std::nullopt : number_of(line.substr(colon + 2));
        if (!mhz) continue;
        card.details.clock_mhz = std::max(card.details.clock_mhz.value_or(0), *mhz);
        if (line.find('*') != line.npos) card.moment.clock_mhz = mhz;
    }
}

void read_sensors(const fs::path& device, CardFacts& card) {
    constexpr std::int64_t micro = 1'000'000;
    std::error_code ignored;
    for (const fs::directory_entry& sensors : fs::directory_iterator(device / "hwmon", ignored)) {
        const fs::path& folder = sensors.path();
        if (const auto limit = number_in(folder / "power1_cap")) card.power_limit_watts = *limit / micro;
        auto power = number_in(folder / "power1_average");
        if (!power) power = number_in(folder / "power1_input");
        if (power) card.moment.power_watts = *power / micro;
        if (const auto heat = number_in(folder / "temp1_input"))
            card.moment.temperature_celsius = *heat / 1000;
    }
}

/// The module's version where AMD's own driver is installed, else the kernel's, which it came with.
std::string driver_version(const fs::path& device) {
    if (const auto version = line_in(device / "driver" / "module" / "version")) return *version;
    utsname system{};
    return ::uname(&system) == 0 ? std::string(static_cast<const char*>(system.release)) : std::string();
}

std::optional<CardFacts> read_card(const fs::path& device) {
    if (line_in(device / "vendor") != amd) return std::nullopt;
    const auto memory = number_in(device / "mem_info_vram_total");
    const auto pci = entry_in(device / "uevent", "PCI_SLOT_NAME=");
    if (!memory || *memory <= 0 || !pci) return std::nullopt;
    CardFacts card;
    card.pci_address = *pci;
    card.vendor = "Advanced Micro Devices, Inc.";
    card.device_class = "gpu";
    card.backend = "amdgpu";
    card.driver_version = driver_version(device);
    card.product = line_in(device / "product_name").value_or("");
    const std::string model = line_in(device / "device").value_or("");
    const auto unique = line_in(device / "unique_id");
    card.uuid =
        unique && *unique != "0" ? "AMD-" + *unique : derived_uuid("amdgpu\n" + model + "\n" + *pci);
    card.claims.used_bytes = number_in(device / "mem_info_vram_used");
    card.pcie_generation = pcie_generation(line_in(device / "max_link_speed"));
    card.pcie_width = number_in(device / "max_link_width");
    card.moment.pcie_generation = pcie_generation(line_in(device / "current_link_speed"));
    card.moment.pcie_width = number_in(device / "current_link_width");
    if (const auto errors = entry_in(device / "ras" / "umc_err_count", "ue: ")) {
        card.details.ecc = true;
        card.details.ecc_errors = number_of(*errors);
    }
    read_clocks(device, card);
    read_sensors(device, card);
    return card;
}

/// "card0", and not "card0-DP-1", which is a socket of it.
bool is_card(const std::string& name) {
    return name.starts_with("card") && name.size() > 4 &&
           std::all_of(name.begin() + 4, name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

std::vector<CardFacts> amdgpu_cards(const fs::path& drm) {
    std::vector<CardFacts> cards;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(drm, ignored)) {
        if (!is_card(entry.path().filename().string())) continue;
        if (auto card = read_card(entry.path() / "device")) cards.push_back(std::move(*card));
    }
    std::sort(cards.begin(), cards.end(),
              [](const CardFacts& a, const CardFacts& b) { return a.pci_address < b.pci_address; });
    return cards;
}

}  // namespace fallow::agent

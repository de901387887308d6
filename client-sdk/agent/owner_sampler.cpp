#include "agent/owner_sampler.hpp"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "agent/file_head.hpp"
#include "agent/nvml_processes.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t command_line_bytes_max = 4096;

struct Utilization {  // nvmlUtilization_t
    unsigned int gpu;
    unsigned int memory;
};

std::optional<std::int64_t> number_in(const fs::path& path) {
    std::ifstream file(path);
    std::int64_t value = 0;
    if (!(file >> value)) return std::nullopt;
    return value;
}

bool is_number(const std::string& text) {
    return !text.empty() && std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

std::string last_part(std::string_view path) {
    return std::string(path.substr(path.rfind('/') + 1));
}

bool is_interpreter(const std::string& program) {
    return program.starts_with("python") || program == "bash" || program == "sh" || program == "perl" ||
           program == "ruby" || program == "node";
}

void add_names(const fs::path& process, std::set<std::string>& names) {
    std::string comm = file_head(process / "comm", command_line_bytes_max);
    while (!comm.empty() && comm.back() == '\n')
        comm.pop_back();
    if (!comm.empty()) names.insert(comm);
    const std::string line = file_head(process / "cmdline", command_line_bytes_max);
    std::vector<std::string> words;
    std::istringstream stream(line);
    for (std::string word; words.size() < 3 && std::getline(stream, word, '\0');)
        if (words.empty() || !word.starts_with('-')) words.push_back(word);
    if (words.empty()) return;
    const std::string program = last_part(words[0]);
    names.insert(program);
    if (words.size() > 1 && is_interpreter(program)) names.insert(last_part(words[1]));
}

/// The engines name a container's control group after its id.
bool is_in_one_of(const fs::path& process, const std::vector<std::string>& containers) {
    if (containers.empty()) return false;
    const std::string groups = file_head(process / "cgroup", group_bytes_max);
    return std::ranges::any_of(containers,
                               [&](const std::string& id) { return groups.find(id) != std::string::npos; });
}

}  // namespace

std::optional<ProcessorTime> parse_processor_time(std::string_view text) {
    std::istringstream line{std::string(text.substr(0, text.find('\n')))};
    std::string name;
    line >> name;
    if (name != "cpu") return std::nullopt;
    // user nice system idle iowait irq softirq steal; the guests' time is within the first two
    constexpr std::size_t fields = 8;
    constexpr std::size_t idle = 3;
    constexpr std::size_t iowait = 4;
    ProcessorTime time;
    for (std::size_t field = 0; field < fields; ++field) {
        std::int64_t ticks = 0;
        if (!(line >> ticks)) return std::nullopt;
        time.all += ticks;
        if (field != idle && field != iowait) time.busy += ticks;
    }
    return time;
}

std::set<std::string> running_programs(const std::vector<std::string>& containers) {
    std::set<std::string> names;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator("/proc", ignored)) {
        if (!is_number(entry.path().filename().string())) continue;
        if (!is_in_one_of(entry.path(), containers)) add_names(entry.path(), names);
    }
    return names;
}

// nvmlInit_v2, nvmlDeviceGetHandleByUUID and nvmlDeviceGetUtilizationRates, as NVML's API reference has
// them; and what tells of processes.
struct UseSampler::Nvml {
    void* handle = nullptr;
    int (*shutdown)() = nullptr;
    int (*by_uuid)(const char*, void**) = nullptr;
    int (*utilization)(void*, Utilization*) = nullptr;
    nvml::Api api;  ///< with no more than what tells of processes

    explicit Nvml(const std::string& library) : handle(::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL)) {
        if (handle == nullptr) return;
        const auto init = reinterpret_cast<int (*)()>(::dlsym(handle, "nvmlInit_v2"));
        shutdown = reinterpret_cast<decltype(shutdown)>(::dlsym(handle, "nvmlShutdown"));
        by_uuid = reinterpret_cast<decltype(by_uuid)>(::dlsym(handle, "nvmlDeviceGetHandleByUUID"));
        utilization =
            reinterpret_cast<decltype(utilization)>(::dlsym(handle, "nvmlDeviceGetUtilizationRates"));
        if (init == nullptr || init() != 0) shutdown = nullptr;
        if (shutdown == nullptr) {
            utilization = nullptr;
            return;
        }
        api.handle = handle;
        nvml::load_processes(api);
    }
    ~Nvml() {
        if (shutdown != nullptr) shutdown();
        if (handle != nullptr) ::dlclose(handle);
    }
    Nvml(const Nvml&) = delete;
    Nvml& operator=(const Nvml&) = delete;

    [[nodiscard]] std::optional<std::int64_t> percent(const std::string& uuid) const {
        void* device = nullptr;
        Utilization rates{};
        const bool is_known = by_uuid != nullptr && utilization != nullptr &&
                              by_uuid(uuid.c_str(), &device) == 0 && utilization(device, &rates) == 0;
        return is_known ? std::optional<std::int64_t>(rates.gpu) : std::nullopt;
    }

    /// Empty where nothing is known.
    [[nodiscard]] std::vector<CardProcess> processes(const std::string& uuid) const {
        void* device = nullptr;
        if (by_uuid == nullptr || by_uuid(uuid.c_str(), &device) != 0) return {};
        return nvml::read_processes(api, device).value_or(std::vector<CardProcess>());
    }
};

UseSampler::UseSampler(const std::string& nvml) : nvml_(std::make_unique<Nvml>(nvml)) {}

UseSampler::~UseSampler() = default;

std::optional<std::int64_t> UseSampler::processors() {
    const auto now = parse_processor_time(file_head("/proc/stat", command_line_bytes_max));
    const auto before = std::exchange(last_, now);
    if (!now || !before || now->all <= before->all) return std::nullopt;
    return (now->busy - before->busy) * 100 / (now->all - before->all);
}

std::map<std::string, std::int64_t> UseSampler::percents(const std::vector<CardFacts>& cards) {
    const auto processors = this->processors();
    std::map<std::string, std::int64_t> percents;
    for (const CardFacts& card : cards) {
        std::optional<std::int64_t> percent;
        if (card.backend == "nvml")
            percent = nvml_->percent(card.uuid);
        else if (card.device_class == "cpu")
            percent = processors;
        else if (!card.pci_address.empty())
            percent = number_in(fs::path("/sys/bus/pci/devices") / card.pci_address / "gpu_busy_percent");
        if (percent) percents[card.uuid] = std::clamp<std::int64_t>(*percent, 0, 100);
    }
    return percents;
}

std::map<std::string, std::string> UseSampler::users(const std::vector<CardFacts>& cards,
                                                     const std::vector<std::string>& containers) {
    const std::string own = program_of(::getpid());  // what measures a card is a child of the same program
    std::map<std::string, std::string> users;
    for (const CardFacts& card : cards) {
        if (card.backend != "nvml") continue;
        for (const CardProcess& process : nvml_->processes(card.uuid))
            if (process.computes && process.program != own && !is_guests(process, containers))
                users.emplace(card.uuid, "process " + name_of(process));
    }
    return users;
}

}  // namespace fallow::agent

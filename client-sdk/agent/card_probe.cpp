#include "agent/card_probe.hpp"

#include <fmt/ranges.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include <iostream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/amdgpu.hpp"
#include "agent/card_catalog.hpp"
#include "agent/card_json.hpp"
#include "agent/clock.hpp"
#include "agent/cuda.hpp"
#include "agent/device_measure.hpp"
#include "agent/memory_scrub.hpp"
#include "agent/nvml.hpp"
#include "agent/nvml_events.hpp"
#include "agent/opencl.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

CardFacts facts_of(const NvmlCard& card, const std::string& cuda_library) {
    return {.index = 0,
            .uuid = card.uuid,
            .pci_address = card.pci_address,
            .product = card.name,
            .vendor = "NVIDIA",
            .device_class = "gpu",
            .backend = "nvml",
            .driver_version = card.driver_version,
            .cuda_version = card.cuda_version,
            .compute_capability = card.compute_capability,
            .pcie_generation = card.pcie_generation,
            .pcie_width = card.pcie_width,
            .power_limit_watts = card.power_limit_watts,
            .details = card.details,
            .moment = card.moment,
            .claims = {.opencl_uuid = {},
                       .opencl_product = {},
                       .opencl_bytes = 0,
                       .nvml_bytes = card.memory_bytes,
                       .used_bytes = card.used_bytes,
                       .has_cuda = has_cuda(cuda_library, card.uuid, card.compute_capability)},
            .capacity = std::nullopt};
}

json answer_nvml(const ProbeRequest& request) {
    const auto found = nvml_cards(request.nvml_library);
    if (!found) return {{"there", false}, {"cards", json::array()}};
    std::vector<CardFacts> cards;
    for (const NvmlCard& card : *found)
        cards.push_back(facts_of(card, request.cuda_library));
    return {{"there", true}, {"cards", json::parse(encode_cards(cards))}};
}

json answer_amdgpu(const ProbeRequest& request) {
    return {{"there", true}, {"cards", json::parse(encode_cards(amdgpu_cards(request.drm_folder)))}};
}

json answer_rocm(const ProbeRequest& request) {
    return {{"there", true}, {"cards", json::parse(encode_cards(rocm_cards(request.rocm_library)))}};
}

json answer_opencl(const ProbeRequest& request) {
    const auto api = load_opencl(request.opencl_library);
    return {{"there", api.has_value()},
            {"cards", api ? json::parse(encode_cards(opencl_cards(*api))) : json::array()}};
}

/// CUDA's where it has the card: to OpenCL no instance is shown, and not every driver comes with it.
FoundDevice find_device(const ProbeRequest& request) {
    if (!request.nvml_uuid.empty())
        if (auto device = find_cuda_device(request.cuda_library, request.nvml_uuid)) return *device;
    if (request.opencl_uuid.empty()) throw std::runtime_error("neither CUDA nor OpenCL has the card");
    const auto api = load_opencl(request.opencl_library);
    if (!api) throw std::runtime_error(request.opencl_library + " cannot be loaded");
    return find_opencl_device(*api, request.opencl_uuid, request.cpu_bytes_max);
}

void tell_progress() {
    std::cout << '.' << std::endl;
}

json answer_verify(const ProbeRequest& request) {
    std::optional<XidListener> listener;
    if (!request.xid_uuid.empty()) listener.emplace(request.nvml_library, request.xid_uuid);
    const auto xids = [&] { return listener ? listener->drain() : std::vector<std::int64_t>(); };
    Measurement measured;
    try {
        measured = measure_device(find_device(request), tell_progress);
    } catch (const ComputeError& error) {
        throw std::runtime_error(fmt::format("{}; Xids: [{}]", error.what(), fmt::join(xids(), ", ")));
    }
    measured.xids = xids();
    return measurement_json(measured);
}

json answer_scrub(const ProbeRequest& request) {
    // Counted before this process is one of them.
    if (!request.nvml_uuid.empty()) {
        const auto others = nvml_process_count(request.nvml_library, request.nvml_uuid);
        if (others.value_or(0) > 0)
            throw std::runtime_error(fmt::format("other processes ({}) hold memory of it", *others));
    }
    const FoundDevice found = find_device(request);
    const ScrubResult result = scrub_memory(*found.open(), found.memory_bytes, tell_progress);
    return {{"reported_bytes", result.reported_bytes}, {"scrubbed_bytes", result.scrubbed_bytes}};
}

/// The last line of what a child said, as JSON; an object with an "error" when it is none.
json result_of(const WatchedProcess& process, const WatchLimits& limits) {
    std::string text = process.output;
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    json result = json::parse(text.substr(text.rfind('\n') + 1), nullptr, false);
    if (process.end == ProcessEnd::exited && result.is_object()) return result;
    return {{"error", describe(process, limits)}};
}

struct Library {
    bool is_there = false;
    std::vector<CardFacts> cards;
};

Library library_from(const json& result, const std::string& name, std::vector<std::string>& problems) {
    if (result.contains("error")) {
        problems.push_back(name + " " + result.at("error").get<std::string>());
        return {.is_there = true, .cards = {}};
    }
    return {.is_there = result.at("there").get<bool>(), .cards = parse_cards(result.at("cards").dump())};
}

}  // namespace

CardProbe::CardProbe(ProbeOptions options) : options_(std::move(options)) {}

WatchedProcess CardProbe::run(const std::vector<std::string>& words, const WatchLimits& limits,
                              std::stop_token stop) {
    if (stuck_ && !is_gone(*stuck_))
        throw std::runtime_error("the driver does not let go of process " + std::to_string(*stuck_));
    stuck_.reset();
    std::vector<std::string> all = options_.launch;
    for (const std::string& word :
         {options_.program.string(), std::string("probe"), std::string("--nvml-library"),
          options_.nvml_library, std::string("--cuda-library"), options_.cuda_library,
          std::string("--opencl-library"), options_.opencl_library, std::string("--measure-bytes"),
          std::to_string(options_.cpu_bytes_max), std::string("--drm-folder"), options_.drm_folder,
          std::string("--rocm-library"), options_.rocm_library})
        all.push_back(word);
    all.insert(all.end(), words.begin(), words.end());
    WatchedProcess process = run_watched(all, limits, std::move(stop));
    stuck_ = process.stuck;
    return process;
}

FoundCards CardProbe::find(std::stop_token stop) {
    FoundCards found;
    const WatchLimits& limits = options_.find_limits;
    const auto ask = [&](const char* what, const char* name) {
        return library_from(result_of(run({what}, limits, stop), limits), name, found.problems);
    };
    const Library nvml = ask("nvml", "NVML");
    Library amdgpu = ask("amdgpu", "amdgpu");
    if (!amdgpu.cards.empty()) fill_in(amdgpu.cards, ask("rocm", "ROCm").cards);
    const Library opencl = ask("opencl", "OpenCL");
    std::vector<CardFacts> vendors = nvml.cards;
    vendors.insert(vendors.end(), amdgpu.cards.begin(), amdgpu.cards.end());
    found.cards = merge_cards(std::move(vendors), opencl.cards, nvml.is_there);
    for (std::string& problem : drop_unnamed_instances(found.cards, options_.cdi_folders))
        found.problems.push_back(std::move(problem));
    return found;
}

WatchedProcess CardProbe::work_on(const char* what, const CardFacts& card, const WatchLimits& limits,
                                  std::stop_token stop) {
    std::vector<std::string> words{what};
    if (!card.claims.opencl_uuid.empty()) words.insert(words.end(), {"--uuid", card.claims.opencl_uuid});
    if (card.backend == "nvml")
        words.insert(words.end(),
                     {"--nvml-uuid", card.uuid, "--xid-uuid", card.details.mig_parent.value_or(card.uuid)});
    return run(words, limits, std::move(stop));
}

std::optional<Verification> CardProbe::verify(const CardFacts& card, std::stop_token stop) {
    const WatchLimits& limits = options_.verify_limits;
    const WatchedProcess process = work_on("verify", card, limits, std::move(stop));
    if (process.end == ProcessEnd::stopped) return std::nullopt;
    const bool never_began = !options_.launch.empty() && process.output.empty();
    if (never_began) return std::nullopt;
    const json result = result_of(process, limits);
    if (result.contains("error"))
        return not_measured("the measurement " + result.at("error").get<std::string>(), wall_clock_ms());
    const Measurement measured = measurement_from(result);
    const CatalogModel* const model = find_catalog_model(card.product, measured.memory.kept_bytes);
    return judge(card, measured, model, wall_clock_ms());
}

std::map<std::string, std::vector<CardProcess>> CardProbe::processes(std::stop_token stop) {
    const WatchLimits& limits = options_.find_limits;
    std::vector<std::string> problems;
    const json result = result_of(run({"nvml"}, limits, std::move(stop)), limits);
    std::map<std::string, std::vector<CardProcess>> processes;
    for (CardFacts& card : library_from(result, "NVML", problems).cards)
        if (card.moment.processes) processes.emplace(card.uuid, std::move(*card.moment.processes));
    for (const std::string& problem : problems)
        spdlog::warn("the processes on NVIDIA's cards are not known: {}", problem);
    return processes;
}

std::optional<ScrubResult> CardProbe::scrub(const CardFacts& card, std::stop_token stop) {
    const WatchLimits& limits = options_.scrub_limits;
    const WatchedProcess process = work_on("scrub", card, limits, std::move(stop));
    if (process.end == ProcessEnd::stopped) return std::nullopt;
    const json answer = result_of(process, limits);
    ScrubResult result;
    if (answer.contains("error")) {
        result.problem = "overwriting it " + answer.at("error").get<std::string>();
    } else {
        result.reported_bytes = answer.at("reported_bytes").get<std::int64_t>();
        result.scrubbed_bytes = answer.at("scrubbed_bytes").get<std::int64_t>();
    }
    return result;
}

int answer_probe(const ProbeRequest& request) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    json answer;
    try {
        answer = request.what == "nvml"     ? answer_nvml(request)
                 : request.what == "opencl" ? answer_opencl(request)
                 : request.what == "amdgpu" ? answer_amdgpu(request)
                 : request.what == "rocm"   ? answer_rocm(request)
                 : request.what == "scrub"  ? answer_scrub(request)
                                            : answer_verify(request);
    } catch (const std::exception& error) {
        answer = {{"error", std::string("failed: ") + error.what()}};
    }
    std::cout << answer.dump(-1, ' ', false, json::error_handler_t::replace) << std::endl;
    return 0;
}

}  // namespace fallow::agent

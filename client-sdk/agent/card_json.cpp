#include "agent/card_json.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/server_link.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

/// The server takes 500; a character that is cut becomes longer.
constexpr std::size_t withheld_reason_bytes_max = 490;

json text_or_null(const std::string& text) {
    return text.empty() ? json(nullptr) : json(text);
}

template <class T>
json or_null(const std::optional<T>& value) {
    return value ? json(*value) : json(nullptr);
}

/// What a driver says may hold anything, and the server takes no control characters.
std::string one_line(std::string text) {
    std::ranges::replace_if(
        text, [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
    return text;
}

json capacity_json(const std::optional<CardCapacity>& capacity) {
    if (!capacity) return nullptr;
    return {{"vram_bytes", capacity->vram_bytes},
            {"memory_bandwidth_bytes_per_s", capacity->memory_bandwidth_bytes_per_s},
            {"fp32_flops", capacity->fp32_flops},
            {"measured_at", format_rfc3339(capacity->measured_unix_ms)}};
}

template <class T>
std::optional<T> optional_from(const json& object, const char* name) {
    const auto found = object.find(name);
    return found == object.end() || found->is_null() ? std::nullopt : std::optional<T>(found->get<T>());
}

json card_json(const CardFacts& card) {
    return {{"index", card.index},
            {"uuid", card.uuid},
            {"pci_address", card.pci_address.empty() ? json(nullptr) : json(card.pci_address)},
            {"product", card.product},
            {"vendor", card.vendor},
            {"device_class", card.device_class},
            {"backend", card.backend},
            {"driver_version", card.driver_version},
            {"cuda_version", or_null(card.cuda_version)},
            {"compute_capability", or_null(card.compute_capability)},
            {"pcie_generation", or_null(card.pcie_generation)},
            {"pcie_width", or_null(card.pcie_width)},
            {"power_limit_watts", or_null(card.power_limit_watts)},
            {"clock_mhz", or_null(card.details.clock_mhz)},
            {"ecc", or_null(card.details.ecc)},
            {"ecc_errors", or_null(card.details.ecc_errors)},
            {"nvlink_links", or_null(card.details.nvlink_links)},
            {"nvlink_bytes_per_s", or_null(card.details.nvlink_bytes_per_s)},
            {"nvlink_group", or_null(card.details.nvlink_group)},
            {"mig_profile", or_null(card.details.mig_profile)},
            {"mig_parent", or_null(card.details.mig_parent)},
            {"capacity", capacity_json(card.capacity)}};
}

json claims_json(const CardClaims& claims) {
    return {{"opencl_uuid", claims.opencl_uuid},        {"opencl_product", claims.opencl_product},
            {"opencl_bytes", claims.opencl_bytes},      {"nvml_bytes", or_null(claims.nvml_bytes)},
            {"used_bytes", or_null(claims.used_bytes)}, {"has_cuda", claims.has_cuda}};
}

CardClaims claims_from(const json& object) {
    CardClaims claims;
    claims.opencl_uuid = object.at("opencl_uuid").get<std::string>();
    claims.opencl_product = object.at("opencl_product").get<std::string>();
    claims.opencl_bytes = object.at("opencl_bytes").get<std::int64_t>();
    claims.nvml_bytes = optional_from<std::int64_t>(object, "nvml_bytes");
    claims.used_bytes = optional_from<std::int64_t>(object, "used_bytes");
    claims.has_cuda = optional_from<bool>(object, "has_cuda").value_or(false);
    return claims;
}

json verification_json(const std::optional<Verification>& verification) {
    if (!verification) return nullptr;
    return {
        {"passed", verification->passed},
        {"reason", verification->reason},
        {"remedy", verification->remedy},
        {"measured", verification->measured ? measurement_json(*verification->measured) : json(nullptr)},
        {"at", format_rfc3339(verification->at_unix_ms)}};
}

Verification verification_from(const json& object) {
    Verification verification;
    verification.passed = object.at("passed").get<bool>();
    verification.reason = object.at("reason").get<std::string>();
    verification.remedy = object.at("remedy").get<std::string>();
    if (const json& measured = object.at("measured"); !measured.is_null())
        verification.measured = measurement_from(measured);
    verification.at_unix_ms = parse_rfc3339(object.at("at").get<std::string>()).value_or(0);
    return verification;
}

CardDetails details_from(const json& object) {
    return {.clock_mhz = optional_from<std::int64_t>(object, "clock_mhz"),
            .ecc = optional_from<bool>(object, "ecc"),
            .ecc_errors = optional_from<std::int64_t>(object, "ecc_errors"),
            .nvlink_links = optional_from<std::int64_t>(object, "nvlink_links"),
            .nvlink_bytes_per_s = optional_from<std::int64_t>(object, "nvlink_bytes_per_s"),
            .nvlink_group = optional_from<std::int64_t>(object, "nvlink_group"),
            .mig_profile = optional_from<std::string>(object, "mig_profile"),
            .mig_parent = optional_from<std::string>(object, "mig_parent")};
}

json processes_json(const std::optional<std::vector<CardProcess>>& processes) {
    if (!processes) return nullptr;
    json list = json::array();
    for (const CardProcess& process : *processes)
        list.push_back({{"pid", process.pid},
                        {"used_bytes", or_null(process.used_bytes)},
                        {"computes", process.computes},
                        {"program", process.program},
                        {"container", process.container}});
    return list;
}

std::optional<std::vector<CardProcess>> processes_from(const json& object) {
    const auto found = object.find("processes");
    if (found == object.end() || found->is_null()) return std::nullopt;
    std::vector<CardProcess> processes;
    for (const json& item : *found)
        processes.push_back({.pid = item.at("pid").get<std::int64_t>(),
                             .used_bytes = optional_from<std::int64_t>(item, "used_bytes"),
                             .computes = item.at("computes").get<bool>(),
                             .program = item.at("program").get<std::string>(),
                             .container = item.at("container").get<std::string>()});
    return processes;
}

json moment_json(const CardMoment& moment) {
    return {{"power_watts", or_null(moment.power_watts)},
            {"temperature_celsius", or_null(moment.temperature_celsius)},
            {"clock_mhz", or_null(moment.clock_mhz)},
            {"pcie_generation", or_null(moment.pcie_generation)},
            {"pcie_width", or_null(moment.pcie_width)},
            {"processes", processes_json(moment.processes)}};
}

CardMoment moment_from(const json& object) {
    return {.power_watts = optional_from<std::int64_t>(object, "power_watts"),
            .temperature_celsius = optional_from<std::int64_t>(object, "temperature_celsius"),
            .clock_mhz = optional_from<std::int64_t>(object, "clock_mhz"),
            .pcie_generation = optional_from<std::int64_t>(object, "pcie_generation"),
            .pcie_width = optional_from<std::int64_t>(object, "pcie_width"),
            .processes = processes_from(object)};
}

/// What the server is told of a verification: the verdict, and not how it was come to.
json verdict_json(const std::optional<Verification>& verification) {
    constexpr std::size_t reason_bytes_max = 400;
    if (!verification) return {{"state", "unverified"}, {"reason", nullptr}, {"at", nullptr}};
    const bool passed = verification->passed;
    return {{"state", passed ? "verified" : "refused"},
            {"reason", passed ? json(nullptr) : json(verification->reason.substr(0, reason_bytes_max))},
            {"at", verification->at_unix_ms > 0 ? json(format_rfc3339(verification->at_unix_ms)) : json()}};
}

/// With the speeds of the measurement that it was proved by.
json reported_capacity(const CardFacts& card) {
    json capacity = capacity_json(card.capacity);
    const auto& last = card.verification;
    if (!card.capacity || !last || !last->passed || !last->measured) return capacity;
    capacity["fp16_flops"] = or_null(last->measured->fp16_flops);
    capacity["to_device_bytes_per_s"] = last->measured->to_device_bytes_per_s;
    capacity["from_device_bytes_per_s"] = last->measured->from_device_bytes_per_s;
    return capacity;
}

json disk_speed_json(const std::optional<DiskSpeed>& speed) {
    if (!speed) return nullptr;
    return {{"write_bytes_per_s", speed->write_bytes_per_s},
            {"read_bytes_per_s", speed->read_bytes_per_s},
            {"measured_at", format_rfc3339(speed->measured_unix_ms)}};
}

json network_speed_json(const std::optional<NetworkSpeed>& speed) {
    if (!speed) return nullptr;
    return {{"up_bytes_per_s", speed->up_bytes_per_s},
            {"down_bytes_per_s", speed->down_bytes_per_s},
            {"measured_at", format_rfc3339(speed->measured_unix_ms)}};
}

CardFacts card_from(const json& object) {
    CardFacts card;
    card.index = object.at("index").get<std::int64_t>();
    card.uuid = object.at("uuid").get<std::string>();
    if (!object.at("pci_address").is_null()) card.pci_address = object.at("pci_address").get<std::string>();
    card.product = object.at("product").get<std::string>();
    card.vendor = object.at("vendor").get<std::string>();
    card.device_class = object.at("device_class").get<std::string>();
    card.backend = object.at("backend").get<std::string>();
    card.driver_version = object.at("driver_version").get<std::string>();
    card.cuda_version = optional_from<std::string>(object, "cuda_version");
    card.compute_capability = optional_from<std::string>(object, "compute_capability");
    card.pcie_generation = optional_from<std::int64_t>(object, "pcie_generation");
    card.pcie_width = optional_from<std::int64_t>(object, "pcie_width");
    card.power_limit_watts = optional_from<std::int64_t>(object, "power_limit_watts");
    card.details = details_from(object);
    if (const auto moment = object.find("moment"); moment != object.end())
        card.moment = moment_from(*moment);
    if (const json& capacity = object.at("capacity"); !capacity.is_null())
        card.capacity =
            CardCapacity{capacity.at("vram_bytes").get<std::int64_t>(),
                         capacity.at("memory_bandwidth_bytes_per_s").get<std::int64_t>(),
                         capacity.at("fp32_flops").get<std::int64_t>(),
                         parse_rfc3339(capacity.at("measured_at").get<std::string>()).value_or(0)};
    if (const auto claims = object.find("claims"); claims != object.end())
        card.claims = claims_from(*claims);
    if (const auto verification = object.find("verification");
        verification != object.end() && !verification->is_null())
        card.verification = verification_from(*verification);
    return card;
}

}  // namespace

std::string encode_inventory(const HostDescription& host, const std::vector<CardFacts>& cards,
                             const std::map<std::string, std::string>& withheld) {
    json items = json::array();
    for (const CardFacts& card : cards) {
        items.push_back(card_json(card));
        items.back()["capacity"] = reported_capacity(card);
        items.back()["verification"] = verdict_json(card.verification);
        const auto why = withheld.find(card.uuid);
        items.back()["offered"] = !card.is_refused() && why == withheld.end();
        if (why != withheld.end())
            items.back()["withheld_reason"] = one_line(why->second.substr(0, withheld_reason_bytes_max));
    }
    return json{{"boot_id", host.boot_id},
                {"agent_version", agent_version},
                {"runtime", host.runtime},
                {"engine", host.engine},
                {"cpu_cores", host.cpu_cores},
                {"memory_bytes", host.memory_bytes},
                {"cpu_architecture", or_null(host.cpu_architecture)},
                {"disk_bytes", or_null(host.disk_bytes)},
                {"cpu_model", or_null(host.cpu_model)},
                {"cpu_clock_mhz", or_null(host.cpu_clock_mhz)},
                {"rack", text_or_null(host.rack)},
                {"disk_speed", disk_speed_json(host.disk_speed)},
                {"guest_network", text_or_null(host.guest_network)},
                {"working_storage", text_or_null(host.working_storage)},
                {"network_speed", network_speed_json(host.network_speed)},
                {"gang_network", host.gang_network},
                {"cards", items}}
        .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string encode_cards(const std::vector<CardFacts>& cards) {
    json array = json::array();
    for (const CardFacts& card : cards) {
        json object = card_json(card);
        object["claims"] = claims_json(card.claims);
        object["moment"] = moment_json(card.moment);
        object["verification"] = verification_json(card.verification);
        array.push_back(std::move(object));
    }
    return array.dump(1);
}

std::vector<CardFacts> parse_cards(std::string_view text) {
    try {
        std::vector<CardFacts> cards;
        for (const json& item : json::parse(text))
            cards.push_back(card_from(item));
        return cards;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("the stored cards have not the expected form: ") +
                                 error.what());
    }
}

json measurement_json(const Measurement& measured) {
    return {{"target_bytes", measured.target_bytes},
            {"written_bytes", measured.memory.written_bytes},
            {"kept_bytes", measured.memory.kept_bytes},
            {"memory_bandwidth_bytes_per_s", measured.bandwidth_bytes_per_s},
            {"fp32_flops", measured.fp32_flops},
            {"fp16_flops", or_null(measured.fp16_flops)},
            {"to_device_bytes_per_s", measured.to_device_bytes_per_s},
            {"from_device_bytes_per_s", measured.from_device_bytes_per_s},
            {"xids", measured.xids},
            {"driver", measured.driver}};
}

Measurement measurement_from(const json& object) {
    Measurement measured;
    measured.target_bytes = object.at("target_bytes").get<std::int64_t>();
    measured.memory.written_bytes = object.at("written_bytes").get<std::int64_t>();
    measured.memory.kept_bytes = object.at("kept_bytes").get<std::int64_t>();
    measured.bandwidth_bytes_per_s = object.at("memory_bandwidth_bytes_per_s").get<std::int64_t>();
    measured.fp32_flops = object.at("fp32_flops").get<std::int64_t>();
    measured.fp16_flops = optional_from<std::int64_t>(object, "fp16_flops");
    measured.to_device_bytes_per_s = object.at("to_device_bytes_per_s").get<std::int64_t>();
    measured.from_device_bytes_per_s = object.at("from_device_bytes_per_s").get<std::int64_t>();
    measured.xids = object.at("xids").get<std::vector<std::int64_t>>();
    measured.driver = optional_from<std::string>(object, "driver").value_or("opencl");
    return measured;
}

}  // namespace fallow::agent

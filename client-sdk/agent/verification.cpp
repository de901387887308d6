#include "agent/verification.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "agent/card_catalog.hpp"
#include "agent/inventory.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t proved_percent_min = 97;  ///< of what the driver states that it was measured through
/// Of what NVML states, which counts what the driver keeps for itself.
constexpr std::int64_t nvml_percent_min = 93;
/// A copy kernel reaches 80 % and more of the data sheet; what stays below this is another card.
constexpr std::int64_t bandwidth_percent_min = 25;
constexpr std::int64_t in_use_percent = 2;
constexpr std::int64_t refused_retry_ms = 3600 * 1000;
constexpr std::int64_t stock_percent_min = 85;
constexpr std::int64_t stock_percent_max = 105;

struct Refusal {
    std::string reason;
    std::string remedy;
};

bool is_below(std::int64_t value, std::int64_t percent, std::int64_t whole) {
    return value < whole / 100 * percent;
}

std::optional<Refusal> refuse_name(const CardFacts& card, const CatalogModel* model) {
    if (!card.claims.opencl_product.empty() &&
        without_maker(card.product) != without_maker(card.claims.opencl_product))
        return Refusal{
            fmt::format("NVML names it {}, and OpenCL {}", card.product, card.claims.opencl_product),
            "install one driver of one version; a card with a changed name is not listed"};
    if (model != nullptr && card.compute_capability && model->compute_capability &&
        *card.compute_capability != *model->compute_capability)
        return Refusal{fmt::format("a {} has compute capability {}, and this card {}", model->name,
                                   *model->compute_capability, *card.compute_capability),
                       "the card's firmware names it wrongly: such a card is not listed"};
    return std::nullopt;
}

std::optional<Refusal> refuse_memory(const CardFacts& card, const Measurement& measured) {
    const MemoryProof& memory = measured.memory;
    const std::int64_t lost = memory.written_bytes - memory.kept_bytes;
    if (lost > 0 && lost < memory.written_bytes / 100)
        return Refusal{fmt::format("{} bytes of {} did not hold what was written", lost,
                                   format_bytes(memory.written_bytes)),
                       "its memory is faulty: look for ECC errors, run it cooler, or return the card"};
    if (memory.kept_bytes < memory.written_bytes)
        return Refusal{fmt::format("it claims {}, and of {} written only {} were there to be read",
                                   format_bytes(measured.target_bytes), format_bytes(memory.written_bytes),
                                   format_bytes(memory.kept_bytes)),
                       "its memory is not all there: return the card, or flash the firmware of its maker"};
    if (is_below(memory.written_bytes, proved_percent_min, measured.target_bytes))
        return Refusal{fmt::format("it claims {}, and only {} could be had",
                                   format_bytes(measured.target_bytes), format_bytes(memory.written_bytes)),
                       "end what else uses the card's memory, then run the self-test again"};
    if (card.claims.nvml_bytes && is_below(memory.kept_bytes, nvml_percent_min, *card.claims.nvml_bytes))
        return Refusal{
            fmt::format("NVML states {}, and {} were proved", format_bytes(*card.claims.nvml_bytes),
                        format_bytes(memory.kept_bytes)),
            "install the driver of the card's maker; a card with changed firmware is not listed"};
    return std::nullopt;
}

std::optional<Refusal> refuse(const CardFacts& card, const Measurement& measured,
                              const CatalogModel* model) {
    if (!measured.xids.empty())
        return Refusal{
            fmt::format("the driver reported Xid {} while it was measured", fmt::join(measured.xids, ", ")),
            "look the Xid up in dmesg and NVIDIA's list; reset or reseat the card"};
    if (auto refusal = refuse_name(card, model)) return refusal;
    if (auto refusal = refuse_memory(card, measured)) return refusal;
    if (model != nullptr &&
        is_below(measured.bandwidth_bytes_per_s, bandwidth_percent_min, model->bandwidth_bytes_per_s))
        return Refusal{fmt::format("a {} moves {}/s in its memory, and this card {}/s", model->name,
                                   format_bytes(model->bandwidth_bytes_per_s),
                                   format_bytes(measured.bandwidth_bytes_per_s)),
                       "look for a power or thermal limit (nvidia-smi -q); else it is another card"};
    return std::nullopt;
}

}  // namespace

Verification judge(const CardFacts& card, const Measurement& measured, const CatalogModel* model,
                   std::int64_t now_unix_ms) {
    const auto refusal = refuse(card, measured, model);
    return {.passed = !refusal,
            .reason = refusal ? refusal->reason : "",
            .remedy = refusal ? refusal->remedy : "",
            .measured = measured,
            .at_unix_ms = now_unix_ms};
}

Verification not_measured(const std::string& why, std::int64_t now_unix_ms) {
    return {.passed = false,
            .reason = why,
            .remedy = "look at dmesg for what the driver says; reset the card or start the host anew",
            .measured = std::nullopt,
            .at_unix_ms = now_unix_ms};
}

bool verification_is_due(const std::optional<Verification>& last, std::int64_t now_unix_ms,
                         std::int64_t every_ms) {
    if (!last || last->at_unix_ms > now_unix_ms) return true;
    return now_unix_ms - last->at_unix_ms >=
           (last->passed ? every_ms : std::min(every_ms, refused_retry_ms));
}

bool is_in_use(const CardFacts& card) {
    const std::int64_t whole = card.claims.nvml_bytes.value_or(card.claims.opencl_bytes);
    return card.claims.used_bytes && *card.claims.used_bytes > whole / 100 * in_use_percent;
}

std::string_view memory_class(const CatalogModel& model, std::int64_t proved_bytes) {
    const std::int64_t percent = model.vram_bytes / 100;
    return proved_bytes >= percent * stock_percent_min && proved_bytes <= percent * stock_percent_max
               ? "stock"
               : "modified";
}

std::string_view driver_name(const Measurement& measured) {
    return measured.driver == "cuda" ? "CUDA" : "OpenCL";
}

std::string format_bytes(std::int64_t bytes) {
    constexpr double gib = 1024.0 * 1024 * 1024;
    constexpr double mib = 1024.0 * 1024;
    const auto value = static_cast<double>(bytes);
    return value >= gib ? fmt::format("{:.1f} GiB", value / gib) : fmt::format("{:.1f} MiB", value / mib);
}

}  // namespace fallow::agent

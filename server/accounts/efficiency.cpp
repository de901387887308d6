#include "accounts/efficiency.hpp"

#include <algorithm>
#include <set>

namespace fallow::accounts {
namespace {

constexpr std::int64_t whole = 1000;
constexpr std::int64_t share_step = 50;
constexpr std::int64_t mib = 1LL << 20;
constexpr std::int64_t gib = 1LL << 30;
constexpr std::int64_t memory_step_of_job = 64 * mib;
constexpr std::int64_t cpu_step_millis = 100;
constexpr std::int64_t idle_utilization_thousandths = 10;
constexpr std::int64_t idle_memory_thousandths = 50;

std::int64_t rounded_up(std::int64_t value, std::int64_t step) {
    return std::max<std::int64_t>(1, (value + step - 1) / step) * step;
}

std::int64_t with_room(std::int64_t value) {
    return value + (value + 3) / 4;
}

/// In GiB with one decimal, or in MiB.
std::string size_text(std::int64_t bytes) {
    if (bytes < gib) return std::to_string((bytes + mib - 1) / mib) + " MiB";
    const std::int64_t tenths = (bytes * 10 + gib / 2) / gib;
    return std::to_string(tenths / 10) +
           (tenths % 10 == 0 ? std::string() : "." + std::to_string(tenths % 10)) + " GiB";
}

/// "12 %" or "0.4 %"
std::string percent_text(std::int64_t thousandths) {
    if (thousandths >= 100 || thousandths % 10 == 0) return std::to_string((thousandths + 5) / 10) + " %";
    return std::to_string(thousandths / 10) + "." + std::to_string(thousandths % 10) + " %";
}

bool is_complete(const CardUse& use) {
    const MeasuredCard& card = use.measured.card;
    const bool has_levels = use.measured.utilization_thousandths && use.measured.memory_used_bytes;
    return has_levels && card.memory_bytes.value_or(0) > 0 &&
           (card.source == TelemetrySource::nvml || card.cpu_millis.value_or(0) > 0);
}

bool is_long_enough(const CardUse& use) {
    const std::int64_t minutes = use.measured.minutes;
    return minutes >= hint_minutes_min && minutes * telemetry_step.count * 2 >= use.running.count;
}

/// Of its memory what it needed, in thousandths of what the card has.
std::int64_t memory_thousandths(const CardUse& use, std::int64_t bytes) {
    return (bytes * whole + *use.measured.card.memory_bytes - 1) / *use.measured.card.memory_bytes;
}

std::int64_t needed_memory(const CardUse& use, std::int64_t step) {
    return rounded_up(with_room(use.measured.memory_used_bytes->max), step);
}

std::int64_t needed_thousandths(const CardUse& use) {
    const std::int64_t by_use = with_room(use.measured.utilization_thousandths->p95);
    const std::int64_t by_memory = memory_thousandths(use, needed_memory(use, gib));
    return rounded_up(std::max(by_use, by_memory), share_step);
}

bool is_idle(const CardUse& use) {
    return use.measured.utilization_thousandths->p95 < idle_utilization_thousandths &&
           memory_thousandths(use, use.measured.memory_used_bytes->max) < idle_memory_thousandths;
}

/// "peak memory 9 GiB of 80 GiB, utilisation 12 % on average and 18 % in its busiest minutes"
std::string evidence_text(const std::vector<CardUse>& cards) {
    const auto memory = std::ranges::max_element(
        cards, {}, [](const CardUse& use) { return use.measured.memory_used_bytes->max; });
    std::int64_t mean = 0;
    std::int64_t p95 = 0;
    for (const CardUse& use : cards) {
        mean += use.measured.utilization_thousandths->mean;
        p95 = std::max(p95, use.measured.utilization_thousandths->p95);
    }
    return "peak memory " + size_text(memory->measured.memory_used_bytes->max) + " of " +
           size_text(*memory->measured.card.memory_bytes) + ", utilisation " +
           percent_text(mean / std::ssize(cards)) + " on average and " + percent_text(p95) +
           " in its busiest minutes: ";
}

/// Of a processor: what the job asked for.
std::optional<Hint> hint_of_processor(const std::vector<CardUse>& cards) {
    std::int64_t cpu = 0;
    std::int64_t memory = 0;
    for (const CardUse& use : cards) {
        const std::int64_t paid = *use.measured.card.cpu_millis;
        const std::int64_t by_use = with_room(use.measured.utilization_thousandths->p95) * paid / whole;
        cpu = std::max(cpu, rounded_up(by_use, cpu_step_millis));
        memory = std::max(memory, needed_memory(use, memory_step_of_job));
        if (cpu * 2 > paid || memory * 2 > *use.measured.card.memory_bytes) return std::nullopt;
    }
    Hint hint;
    hint.cpu_millis = cpu;
    hint.memory_bytes = memory;
    hint.text = evidence_text(cards) + "cpu_millis " + std::to_string(cpu) + " and memory_bytes of " +
                size_text(memory) + " would have done.";
    return hint;
}

std::optional<Hint> hint_of_card(const std::vector<CardUse>& cards) {
    std::int64_t needed = 0;
    std::int64_t memory = 0;
    for (const CardUse& use : cards) {
        needed = std::max(needed, needed_thousandths(use));
        memory = std::max(memory, needed_memory(use, gib));
        if (needed * 2 > use.paid_thousandths) return std::nullopt;
    }
    Hint hint;
    hint.thousandths = needed;
    hint.vram_bytes = memory;
    hint.text = evidence_text(cards) + "a share of " + std::to_string(needed) +
                " thousandths or a card with " + size_text(memory) + " would have done.";
    return hint;
}

/// Of whole cards used together: a share of one is no substitute, fewer or smaller ones are.
std::optional<Hint> hint_of_cards(const std::vector<CardUse>& cards, std::int64_t per_lease) {
    const auto idle = std::ranges::count_if(cards, is_idle);
    std::int64_t needed = 0;
    std::int64_t memory = 0;
    for (const CardUse& use : cards) {
        needed = std::max(needed, needed_thousandths(use));
        memory = std::max(memory, needed_memory(use, gib));
    }
    const std::int64_t fewer = per_lease - idle * per_lease / std::ssize(cards);
    const bool is_smaller = needed * 2 <= whole;
    Hint hint;
    if (fewer < per_lease) hint.cards = std::max<std::int64_t>(1, fewer);
    if (is_smaller) hint.vram_bytes = memory;
    if (!hint.cards && !hint.vram_bytes) return std::nullopt;
    hint.text = evidence_text(cards);
    if (hint.cards)
        hint.text += std::to_string(*hint.cards) + " of the " + std::to_string(per_lease) + " cards";
    if (hint.cards && hint.vram_bytes) hint.text += ", or ";
    if (hint.vram_bytes) hint.text += "cards with " + size_text(memory);
    hint.text += " would have done.";
    return hint;
}

std::optional<Hint> hint_of(const std::vector<CardUse>& cards) {
    std::set<LeaseId> leases;
    bool any_processor = false;
    bool all_processors = true;
    for (const CardUse& use : cards) {
        leases.insert(use.measured.card.lease);
        const bool is_processor = use.measured.card.source == TelemetrySource::cgroup;
        any_processor = any_processor || is_processor;
        all_processors = all_processors && is_processor;
    }
    if (all_processors) return hint_of_processor(cards);
    if (any_processor) return std::nullopt;  // attempts on unlike devices have no measure in common
    const std::int64_t per_lease = std::ssize(cards) / std::ssize(leases);
    return per_lease == 1 ? hint_of_card(cards) : hint_of_cards(cards, per_lease);
}

std::optional<std::int64_t> used_of(const std::vector<CardUse>& cards) {
    std::int64_t used = 0;
    std::int64_t paid = 0;
    for (const CardUse& use : cards) {
        if (!use.measured.utilization_thousandths) continue;
        const std::int64_t mean = use.measured.utilization_thousandths->mean;
        const bool is_processor = use.measured.card.source == TelemetrySource::cgroup;
        used += use.measured.minutes * (is_processor ? mean * use.paid_thousandths / whole : mean);
        paid += use.measured.minutes * use.paid_thousandths;
    }
    if (paid == 0) return std::nullopt;
    return std::min(whole, used * whole / paid);
}

}  // namespace

Efficiency efficiency_of(const std::vector<CardUse>& cards) {
    Efficiency result;
    for (const CardUse& use : cards)
        result.minutes += use.measured.minutes;
    if (result.minutes == 0) return result;
    const auto is_shared = [](const CardUse& use) { return use.measured.card.shared; };
    result.verdict = UseVerdict::shared_card;
    if (std::ranges::any_of(cards, is_shared)) return result;
    result.used_thousandths = used_of(cards);
    result.verdict = UseVerdict::too_little_measured;
    if (!std::ranges::all_of(cards, is_long_enough)) return result;
    result.verdict = UseVerdict::not_all_measured;
    if (!std::ranges::all_of(cards, is_complete)) return result;
    result.hint = hint_of(cards);
    result.verdict = result.hint ? UseVerdict::oversized : UseVerdict::well_used;
    return result;
}

}  // namespace fallow::accounts

#include "agent/telemetry_series.hpp"

#include <algorithm>
#include <iterator>

namespace fallow::agent {

void TelemetrySeries::Sum::add(const std::optional<std::int64_t>& value) {
    if (!value) return;
    max = count == 0 ? *value : std::max(max, *value);
    sum += *value;
    ++count;
}

std::optional<UseLevel> TelemetrySeries::Sum::level() const {
    if (count == 0) return std::nullopt;
    return UseLevel{sum / count, max};
}

void TelemetrySeries::add(const UseOf& of, std::int64_t unix_ms, const UseSample& sample) {
    const std::int64_t at = unix_ms - unix_ms % minute_ms;
    Open& open = open_[{of.lease_id, of.card_id}];
    if (open.samples > 0 && open.at_unix_ms != at) end(open);
    if (open.samples == 0) open.at_unix_ms = at;
    const bool was_shared = open.samples > 0 && open.of.shared;
    open.of = of;
    open.of.shared = of.shared || was_shared;
    ++open.samples;
    open.utilization.add(sample.utilization_thousandths);
    open.memory.add(sample.memory_used_bytes);
    open.power.add(sample.power_milliwatts);
    open.temperature.add(sample.temperature_celsius);
}

void TelemetrySeries::end(Open& open) {
    waiting_.push_back({open.of,
                        {.at_unix_ms = open.at_unix_ms,
                         .samples = open.samples,
                         .utilization_thousandths = open.utilization.level(),
                         .memory_used_bytes = open.memory.level(),
                         .power_milliwatts = open.power.level(),
                         .temperature_celsius = open.temperature.level()}});
    open = Open{};
    bound();
}

void TelemetrySeries::close(std::int64_t unix_ms, const std::set<std::string>& running) {
    for (auto at = open_.begin(); at != open_.end();) {
        const bool is_over = !running.contains(at->first.first);
        if (at->second.samples > 0 && (is_over || unix_ms >= at->second.at_unix_ms + minute_ms))
            end(at->second);
        at = is_over ? open_.erase(at) : std::next(at);
    }
}

std::vector<CardMinutes> TelemetrySeries::take(std::int64_t unix_ms) {
    const auto too_old = [&](const Waiting& waiting) {
        return waiting.second.at_unix_ms < unix_ms - kept_ms;
    };
    dropped_ += static_cast<std::int64_t>(std::erase_if(waiting_, too_old));
    std::vector<CardMinutes> batch;
    if (waiting_.empty()) return batch;
    const std::string lease = waiting_.front().first.lease_id;
    std::size_t taken = 0;
    std::erase_if(waiting_, [&](const Waiting& waiting) {
        if (waiting.first.lease_id != lease || taken == batch_max) return false;
        ++taken;
        auto card = std::ranges::find_if(
            batch, [&](const CardMinutes& other) { return other.of.card_id == waiting.first.card_id; });
        if (card == batch.end()) card = batch.insert(batch.end(), {waiting.first, {}});
        card->of.shared = card->of.shared || waiting.first.shared;
        card->minutes.push_back(waiting.second);
        return true;
    });
    return batch;
}

void TelemetrySeries::put_back(const std::vector<CardMinutes>& batch) {
    for (auto card = batch.rbegin(); card != batch.rend(); ++card)
        for (auto minute = card->minutes.rbegin(); minute != card->minutes.rend(); ++minute)
            waiting_.push_front({card->of, *minute});
    bound();
}

void TelemetrySeries::give_up(const std::vector<CardMinutes>& batch) {
    for (const CardMinutes& card : batch)
        dropped_ += static_cast<std::int64_t>(card.minutes.size());
}

void TelemetrySeries::bound() {
    while (waiting_.size() > waiting_max) {
        waiting_.pop_front();
        ++dropped_;
    }
}

}  // namespace fallow::agent

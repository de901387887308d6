#include "agent/owner_policy.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fallow::agent {
namespace {

constexpr std::int64_t busy_for_ms = 60'000;
constexpr std::int64_t busy_above_percent = 10;  ///< beyond the rule, before an offered card is taken away
/// Between two samples; more is a gap, in which anything may have happened.
constexpr std::int64_t gap_ms = 60'000;

bool is_open(const std::vector<PolicyWindow>& windows, std::int32_t minute) {
    if (windows.empty()) return true;
    return std::ranges::any_of(windows, [&](const PolicyWindow& w) {
        return w.from < w.until ? minute >= w.from && minute < w.until
                                : minute >= w.from || minute < w.until;
    });
}

void remember(const CardRules& rules, CardHistory& history, const PolicyMoment& moment) {
    const CardSample& sample = moment.sample;
    if (!sample.process.empty()) {
        history.process_seen_boot_ms = sample.at_boot_ms;
        history.process = sample.process;
    }
    auto& samples = history.samples;
    const bool is_gap = !samples.empty() && sample.at_boot_ms - samples.back().at_boot_ms > gap_ms;
    if (moment.is_leased || is_gap) samples.clear();
    if (moment.is_leased) return;
    samples.push_back(sample);
    // One that is older than the span stays: it shows that the whole span was watched.
    while (samples.size() > 1 && samples[1].at_boot_ms <= sample.at_boot_ms - rules.idle_for_ms)
        samples.pop_front();
}

/// The mean over the samples that are younger than `span`; nothing when one of them is not known. With a
/// process of the owner's on it a card is all in use.
std::optional<std::int64_t> mean(const std::deque<CardSample>& samples, std::int64_t since) {
    std::int64_t sum = 0;
    std::int64_t count = 0;
    for (const CardSample& sample : samples) {
        if (sample.at_boot_ms < since) continue;
        if (!sample.percent && sample.user.empty()) return std::nullopt;
        sum += sample.user.empty() ? *sample.percent : 100;
        ++count;
    }
    return count == 0 ? std::nullopt : std::optional(sum / count);
}

/// Why its utilisation keeps the card back; empty when it does not.
std::string busy(const CardRules& rules, const CardHistory& history, std::int64_t now) {
    if (!rules.idle_below_percent) return {};
    if (const std::string& user = history.samples.back().user; !user.empty())
        return "it is in use: " + user + " is on it";
    const std::int64_t limit = *rules.idle_below_percent;
    if (history.is_offered) {
        const auto lately = mean(history.samples, now - std::min(busy_for_ms, rules.idle_for_ms));
        const bool is_watched =
            history.samples.front().at_boot_ms <= now - std::min(busy_for_ms, rules.idle_for_ms);
        if (!lately) return "its utilisation is not known";
        if (!is_watched || *lately < std::min<std::int64_t>(100, limit + busy_above_percent)) return {};
        return fmt::format("it is busy: {} % over the last minute", *lately);
    }
    if (history.samples.front().at_boot_ms > now - rules.idle_for_ms)
        return fmt::format("it has been watched for {} of {} min",
                           (now - history.samples.front().at_boot_ms) / 60'000, rules.idle_for_ms / 60'000);
    const auto all = mean(history.samples, now - rules.idle_for_ms);
    if (!all) return "its utilisation is not known";
    if (*all < limit) return {};
    return fmt::format("it is busy: {} % over the last {} min", *all, rules.idle_for_ms / 60'000);
}

}  // namespace

const CardRules* rules_for(const OwnerPolicy& policy, std::int64_t index, const std::string& uuid) {
    const CardRules* rest = nullptr;
    for (const CardRules& rules : policy.cards) {
        if (rules.card == uuid || rules.card == std::to_string(index)) return &rules;
        if (rules.card == "*") rest = &rules;
    }
    return rest;
}

CardDecision decide(const CardRules& rules, CardHistory& history, const PolicyMoment& moment) {
    remember(rules, history, moment);
    const std::int64_t now = moment.sample.at_boot_ms;
    const auto kept = [&](std::string reason, bool takes_back) {
        history.is_offered = false;
        return CardDecision{false, std::move(reason), takes_back};
    };
    if (!moment.sample.process.empty())
        return kept(moment.sample.process + " runs", rules.take_back != TakeBack::never);
    if (!is_open(rules.windows, moment.minute_of_week))
        return kept("it is outside of its windows", rules.take_back == TakeBack::always);
    if (moment.is_leased) {
        history.is_offered = true;
        return {};
    }
    if (history.process_seen_boot_ms && now - *history.process_seen_boot_ms < rules.idle_for_ms)
        return kept(fmt::format("{} ran {} min ago", history.process,
                                (now - *history.process_seen_boot_ms) / 60'000),
                    false);
    if (std::string reason = busy(rules, history, now); !reason.empty())
        return kept(std::move(reason), false);
    history.is_offered = true;
    return {};
}

void keep_back(std::int64_t count, std::vector<CardDecision>& decisions,
               const std::vector<bool>& is_leased) {
    std::int64_t kept = std::ranges::count(decisions, false, &CardDecision::is_offered);
    for (std::size_t i = decisions.size(); i-- > 0 && kept < count;) {
        if (!decisions[i].is_offered || is_leased[i]) continue;
        decisions[i] = {false, "it is kept back for its owner", false};
        ++kept;
    }
}

}  // namespace fallow::agent

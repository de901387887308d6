// The half of Agent that serves the owner of the host: what was taken back, and what the owner is told.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <stdexcept>

#include "agent/agent.hpp"
#include "agent/clock.hpp"
#include "agent/owner_words.hpp"
#include "agent/scrub_plan.hpp"
#include "guard/process.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t policy_every_ms = 5000;

bool has_card(const LeaseRecord& record, const std::string& uuid) {
    return std::ranges::any_of(record.desired.cards,
                               [&](const LeaseCard& card) { return card.uuid == uuid; });
}

/// Its container runs, or may have been started this moment.
bool occupies(const LeaseSeen& seen) {
    const LeaseRecord& r = seen.record;
    if (r.exit || r.failure || r.removed) return false;
    return r.started || (seen.engine_lane_busy && !seen.preparing);
}

std::optional<std::int64_t> left(const std::optional<std::int64_t>& until, std::int64_t now) {
    return until ? std::optional(std::max<std::int64_t>(0, *until - now)) : std::nullopt;
}

LeaseOnCard lease_on_card(const LeaseSeen& seen, std::int64_t now) {
    const LeaseRecord& r = seen.record;
    std::optional<std::int64_t> paid = r.desired.paid_until_boot_ms;
    if (paid) paid = std::max(*paid, r.paid_until_boot_ms);
    std::optional<std::int64_t> ends = r.reclaim_until_boot_ms;
    if (!r.desired.run) ends = std::min(ends.value_or(INT64_MAX), r.desired.grace_until_boot_ms);
    return {.lease_id = r.desired.lease_id,
            .runs = occupies(seen),
            .running_ms = r.meter.at(now),
            .notice_ms = r.desired.reclaim_notice_ms,
            .price_micros_per_hour = r.desired.price_micros_per_hour,
            .thousandths = r.desired.thousandths,
            .paid_ahead_ms = left(paid, now),
            .term_left_ms = left(r.desired.run_until_boot_ms, now),
            .ends_in_ms = left(ends, now),
            .container_id = r.container_id};
}

/// By the host's own clock and zone: the owner writes windows as the clock on the wall has them.
std::int32_t minute_of_week_here() {
    const std::time_t now = std::time(nullptr);
    std::tm local{};
    ::localtime_r(&now, &local);
    return (local.tm_wday + 6) % 7 * 24 * 60 + local.tm_hour * 60 + local.tm_min;
}

}  // namespace

std::vector<CardFacts> Agent::known_cards() {
    const std::lock_guard lock(mutex_);
    return cards_;
}

std::vector<UsedCard> Agent::used_cards() const {
    return scrubber_ ? scrubber_->used() : std::vector<UsedCard>();
}

/// By uuid, with the reason. Which programs of the owner's run is nobody else's to know.
std::map<std::string, std::string> Agent::withheld_cards() {
    std::map<std::string, std::string> withheld;
    // Before that its lease is not gone, so that it is nobody else's either.
    for (const UsedCard& card : used_cards())
        if (is_unscrubbable(card)) withheld.emplace(card.uuid, memory_sentence(card.problem));
    for (const auto& [uuid, hold] : desk_.holds())
        withheld.emplace(uuid, "its owner has taken it back");
    const std::lock_guard lock(mutex_);
    for (const CardFacts& card : cards_) {
        const bool has_rules = policy_ && rules_for(*policy_, card.index, card.uuid) != nullptr;
        if (!has_rules && !cluster_) continue;
        // Not yet decided is not offered: nothing has been seen of it.
        const auto decision = decisions_.find(card.uuid);
        if (decision == decisions_.end() || !decision->second.is_offered)
            withheld.emplace(card.uuid, cluster_ ? "the cluster needs it, or its node is down"
                                                 : "its owner's policy keeps it back");
    }
    return withheld;
}

/// Precondition: mutex_ is locked.
std::vector<OwnerClaim> Agent::claims() const {
    std::vector<OwnerClaim> all = desk_.claims();
    for (const auto& [uuid, decision] : decisions_) {
        const auto since = taken_back_since_.find(uuid);
        if (since != taken_back_since_.end())
            all.push_back({uuid, since->second, true, false});
        else if (!decision.is_offered)
            all.push_back({uuid, 0, false, false});
    }
    return all;
}

/// Planned with from the next round on, and told to the server as soon as that can be reached.
void Agent::claims_changed() {
    const std::lock_guard lock(mutex_);
    ++claims_made_;
    offers_changed_ = true;
    awake_ = true;
    changed_.notify_all();
    disk_.yield();  // the next inventory waits for neither
    network_.yield();
}

void Agent::release_ended_owners() {
    try {
        const std::vector<std::string> released = desk_.release_ended();
        for (const std::string& uuid : released)
            spdlog::info("card {} is given back: its owner's command has ended", uuid);
        if (!released.empty()) claims_changed();
    } catch (const std::exception& error) {
        spdlog::error("no card is given back: {}", error.what());
    }
}

/// The cards that were found, and those that leases have and that are not there any more.
std::vector<CardStatus> Agent::cards_and_leases(const std::vector<LeaseSeen>& leases) const {
    std::vector<CardStatus> all;
    const auto is_listed = [&](const std::string& uuid) {
        return std::ranges::find(all, uuid, &CardStatus::uuid) != all.end();
    };
    const auto add = [&](std::int64_t index, const std::string& uuid, const std::string& product,
                         const std::string& backend) {
        CardStatus card;
        card.index = index;
        card.uuid = uuid;
        card.product = product;
        card.backend = backend;
        all.push_back(std::move(card));
    };
    for (const CardFacts& card : cards_)
        add(card.index, card.uuid, card.product, card.backend);
    for (const LeaseSeen& seen : leases)
        for (const LeaseCard& card : seen.record.desired.cards)
            if (!is_listed(card.uuid))
                add(card.index, card.uuid, "not found by the driver now", card.backend);
    return all;
}

/// Precondition: mutex_ is locked.
Observed Agent::owners_view() const {
    Observed observed;
    observed.claims = claims();
    for (const auto& [id, task] : tasks_)
        observed.leases.push_back(task->seen());
    observed.used_cards = used_cards();
    return observed;
}

std::vector<CardStatus> Agent::card_status() {
    const auto holds = desk_.holds();
    const std::int64_t now = boot_clock_ms();
    const std::lock_guard lock(mutex_);
    // A round that began before the last claim may still start something.
    const bool is_heeded = claims_heeded_ == claims_made_;
    const Observed observed = owners_view();
    std::vector<CardStatus> all = cards_and_leases(observed.leases);
    for (CardStatus& status : all) {
        if (const auto hold = holds.find(status.uuid); hold != holds.end()) {
            status.is_held = true;
            status.is_offered = false;
            status.until_released = hold->second.until_released;
        } else if (const auto decision = decisions_.find(status.uuid); decision != decisions_.end()) {
            status.is_offered = decision->second.is_offered;
            status.reason = decision->second.reason;
        }
        bool is_leased = false;
        for (const LeaseSeen& seen : observed.leases) {
            if (!has_card(seen.record, status.uuid) || seen.record.removed || seen.record.exit) continue;
            status.leases.push_back(lease_on_card(seen, now));
            is_leased = is_leased || status.leases.back().runs;
        }
        status.is_free = is_heeded && !is_leased && may_have_it(status.uuid, observed, now);
        const auto used = std::ranges::find(observed.used_cards, status.uuid, &UsedCard::uuid);
        if (is_leased || used == observed.used_cards.end()) continue;
        status.unscrubbed = used->problem;
        if (!status.is_held && is_unscrubbable(*used)) {
            status.is_offered = false;
            status.reason = memory_sentence(used->problem);
        }
    }
    return all;
}

void Agent::take_card(const OwnerQuestion& question, std::int64_t peer_pid) {
    const std::string uuid = card_meant(card_status(), question.card).uuid;
    std::optional<OwnerProcess> process;
    if (question.while_i_live) {
        const auto ticks = guard::start_ticks_of(peer_pid);
        if (!ticks)
            throw std::runtime_error(
                "the asking process cannot be seen from here: use reclaim and release");
        process = OwnerProcess{peer_pid, *ticks};
    }
    desk_.take(uuid, question.at_once, process);
    keeper_.yield({uuid});  // its memory is not full of a measurement when it is said to be free
    spdlog::info("card {} is taken back by its owner{}", uuid, question.at_once ? ", at once" : "");
    claims_changed();
}

void Agent::apply_policy(UseSampler& sampler, std::map<std::string, CardHistory>& histories) {
    const std::vector<CardFacts> cards = known_cards();
    std::vector<LeaseSeen> leases;
    {
        const std::lock_guard lock(mutex_);
        for (const auto& [id, task] : tasks_)
            leases.push_back(task->seen());
    }
    std::vector<std::string> containers;
    for (const LeaseSeen& seen : leases)
        if (!seen.record.container_id.empty()) containers.push_back(seen.record.container_id);
    const std::set<std::string> programs = running_programs(containers);
    const auto percents = sampler.percents(cards);
    const auto users = sampler.users(cards, containers);
    const std::int64_t now = boot_clock_ms();
    std::vector<CardDecision> decisions;
    std::vector<bool> is_leased;
    for (const CardFacts& card : cards) {
        is_leased.push_back(std::ranges::any_of(leases, [&](const LeaseSeen& seen) {
            return has_card(seen.record, card.uuid) && !seen.record.exit && !seen.record.removed;
        }));
        const CardRules* const rules = rules_for(*policy_, card.index, card.uuid);
        if (rules == nullptr) {
            decisions.emplace_back();
            continue;
        }
        PolicyMoment moment{.sample = {.at_boot_ms = now, .percent = std::nullopt, .process = {}},
                            .minute_of_week = minute_of_week_here(),
                            .is_leased = is_leased.back()};
        if (const auto percent = percents.find(card.uuid); percent != percents.end())
            moment.sample.percent = percent->second;
        if (const auto user = users.find(card.uuid); user != users.end()) moment.sample.user = user->second;
        for (const std::string& program : rules->never_while)
            if (programs.contains(program)) moment.sample.process = program;
        decisions.push_back(decide(*rules, histories[card.uuid], moment));
    }
    keep_back(policy_->keep_back, decisions, is_leased);
    take_decisions(cards, decisions);
}

void Agent::take_decisions(const std::vector<CardFacts>& cards,
                           const std::vector<CardDecision>& decisions) {
    bool has_changed = false;
    {
        const std::lock_guard lock(mutex_);
        for (std::size_t i = 0; i < cards.size(); ++i) {
            const std::string& uuid = cards[i].uuid;
            const CardDecision& decision = decisions[i];
            const auto before = decisions_.find(uuid);
            const bool is_new =
                before == decisions_.end() || before->second.is_offered != decision.is_offered;
            if (is_new)
                spdlog::info("card {} is {}{}", uuid,
                             decision.is_offered ? "offered" : "kept back: ", decision.reason);
            if (decision.takes_back)
                has_changed |= taken_back_since_.try_emplace(uuid, boot_clock_ms()).second;
            else
                has_changed |= taken_back_since_.erase(uuid) != 0;
            has_changed |= is_new;
            decisions_[uuid] = decision;
        }
    }
    if (has_changed) claims_changed();
}

/// So that a card is not said to be kept back only because its rules were not looked at yet.
void Agent::wait_for_policy(std::stop_token stop) {
    if (!policy_ && !cluster_) return;
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, stop, std::chrono::milliseconds(2 * policy_every_ms), [this] {
        return std::ranges::all_of(
            cards_, [this](const CardFacts& card) { return decisions_.contains(card.uuid); });
    });
}

void Agent::run_policy(std::stop_token stop) {
    if (cluster_) return run_cluster_policy(stop);
    if (!policy_) return;
    UseSampler sampler("libnvidia-ml.so.1");
    std::map<std::string, CardHistory> histories;
    while (!stop.stop_requested()) {
        try {
            apply_policy(sampler, histories);
        } catch (const std::exception& error) {
            spdlog::error("the owner's policy was not looked at: {}", error.what());
        }
        wait(policy_every_ms, stop);
    }
}

std::string Agent::answer_owner(const std::string& line, std::int64_t peer_pid) {
    try {
        const OwnerQuestion question = parse_question(line);
        if (question.kind == OwnerQuestion::Kind::take) take_card(question, peer_pid);
        if (question.kind == OwnerQuestion::Kind::release) {
            const std::string uuid = card_meant(card_status(), question.card).uuid;
            if (!desk_.release(uuid))
                return encode_refusal("the card is not held: there is nothing to release");
            spdlog::info("card {} is given back by its owner", uuid);
            claims_changed();
        }
        return encode_answer(card_status());
    } catch (const std::exception& error) {
        return encode_refusal(error.what());
    }
}

}  // namespace fallow::agent

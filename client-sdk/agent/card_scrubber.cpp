#include "agent/card_scrubber.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "agent/clock.hpp"
#include "agent/memory_scrub.hpp"
#include "agent/scrub_plan.hpp"
#include "agent/state.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t first_pause_ms = 1000;
constexpr std::int64_t longest_pause_ms = 60'000;

std::int64_t pause_after_ms(std::int64_t failures) {
    return std::min(longest_pause_ms, first_pause_ms << std::min<std::int64_t>(failures - 1, 6));
}

}  // namespace

std::string scrub_problem(const ScrubResult& result) {
    if (is_scrubbed(result)) return {};
    if (!result.problem.empty()) return result.problem;
    return fmt::format("only {} of its {} could be overwritten and read back",
                       format_bytes(result.scrubbed_bytes), format_bytes(result.reported_bytes));
}

std::filesystem::path used_cards_file(const std::filesystem::path& state_folder) {
    return state_folder / "used-cards.json";
}

std::string encode_used_cards(const std::map<std::string, UsedCard>& used) {
    json array = json::array();
    for (const auto& [uuid, card] : used)
        array.push_back({{"uuid", uuid}, {"failures", card.failures}, {"problem", card.problem}});
    return json{{"used", array}}.dump(1, ' ', false, json::error_handler_t::replace);
}

std::map<std::string, UsedCard> parse_used_cards(std::string_view text) {
    try {
        std::map<std::string, UsedCard> used;
        const json document = json::parse(text);
        for (const json& item : document.at("used")) {
            UsedCard card;
            card.uuid = item.at("uuid").get<std::string>();
            card.failures = item.at("failures").get<std::int64_t>();
            card.problem = item.at("problem").get<std::string>();
            used[card.uuid] = std::move(card);
        }
        return used;
    } catch (const json::exception& error) {
        throw std::runtime_error(std::string("which cards guests have had has not the expected form: ") +
                                 error.what());
    }
}

CardScrubber::CardScrubber(ScrubberParts parts) : parts_(std::move(parts)) {
    if (!std::filesystem::exists(parts_.file)) return;
    try {
        used_ = parse_used_cards(read_file(parts_.file));
    } catch (const std::exception& error) {
        spdlog::error("every card is overwritten before it is rented out: {}", error.what());
        for (const CardFacts& card : parts_.cards())
            if (is_given_to_guests(card.backend)) used_[card.uuid].uuid = card.uuid;
    }
}

/// Precondition: mutex_ is locked. Not synced: with the host's power the memory is lost as well, and after
/// any other end of the host the records of its leases name the cards.
void CardScrubber::save(std::map<std::string, UsedCard> used) {
    write_file_atomically(parts_.file, encode_used_cards(used), true, false);
    used_ = std::move(used);
}

void CardScrubber::note_guest(const std::vector<LeaseCard>& cards) {
    const std::lock_guard lock(mutex_);
    auto used = used_;
    for (const LeaseCard& card : cards) {
        if (!is_given_to_guests(card.backend)) continue;
        used[card.uuid].uuid = card.uuid;
        // Of a start that was not heard of the guest may be there only now: what was done so far is void.
        if (const auto worker = workers_.find(card.uuid); worker != workers_.end())
            worker->second.lane->interrupt();
    }
    if (used.size() != used_.size()) save(std::move(used));
}

void CardScrubber::note_withheld(const std::map<std::string, std::string>& withheld) {
    const std::lock_guard lock(mutex_);
    for (auto& [uuid, card] : used_)
        card.is_withheld = is_unscrubbable(card) && withheld.contains(uuid);
}

std::vector<UsedCard> CardScrubber::used() const {
    const std::lock_guard lock(mutex_);
    std::vector<UsedCard> all;
    for (const auto& [uuid, card] : used_) {
        all.push_back(card);
        const auto worker = workers_.find(uuid);
        all.back().is_scrubbing = worker != workers_.end() && worker->second.lane->busy();
    }
    return all;
}

void CardScrubber::scrub(const std::string& uuid) {
    const std::lock_guard lock(mutex_);
    Worker& worker = workers_[uuid];
    if (!worker.lane) {
        worker.source = parts_.connect();
        worker.lane = std::make_unique<Lane>("card " + uuid, parts_.wake);
    }
    worker.lane->post_if_idle("scrub", [this, uuid, source = worker.source.get()](std::stop_token stop) {
        overwrite(uuid, *source, stop);
    });
}

void CardScrubber::abandon(const std::string& uuid) {
    const std::lock_guard lock(mutex_);
    const auto worker = workers_.find(uuid);
    if (worker != workers_.end()) worker->second.lane->interrupt();
}

void CardScrubber::overwrite(const std::string& uuid, CardSource& source, const std::stop_token& stop) {
    const std::int64_t began = boot_clock_ms();
    const ScrubResult result = try_to_overwrite(uuid, source, stop);
    const std::string problem = scrub_problem(result);
    if (!problem.empty() && !stop.stop_requested()) return note_failure(uuid, problem);
    if (problem.empty() && note_scrubbed(uuid, stop))
        spdlog::info("card {}: {} of its memory are overwritten after {} ms", uuid,
                     format_bytes(result.scrubbed_bytes), boot_clock_ms() - began);
    else
        spdlog::info("overwriting the memory of card {} is broken off", uuid);
}

/// What is not known to be overwritten is not.
ScrubResult CardScrubber::try_to_overwrite(const std::string& uuid, CardSource& source,
                                           const std::stop_token& stop) const {
    ScrubResult failed;
    const std::vector<CardFacts> cards = parts_.cards();
    const auto card = std::ranges::find(cards, uuid, &CardFacts::uuid);
    if (card == cards.end()) {
        failed.problem = "the driver does not find the card";
        return failed;
    }
    try {
        if (const auto result = source.scrub(*card, stop)) return *result;
        failed.problem = "the card could not be overwritten now";
    } catch (const std::exception& error) {
        failed.problem = error.what();
    }
    return failed;
}

/// False when it was broken off before that.
bool CardScrubber::note_scrubbed(const std::string& uuid, const std::stop_token& stop) {
    bool was_withheld = false;
    {
        const std::lock_guard lock(mutex_);
        auto used = used_;
        const auto card = used.find(uuid);
        if (card == used.end() || stop.stop_requested()) return false;
        was_withheld = is_unscrubbable(card->second);
        used.erase(card);
        save(std::move(used));
    }
    if (was_withheld) parts_.offers_changed();
    return true;
}

void CardScrubber::note_failure(const std::string& uuid, const std::string& problem) {
    std::int64_t failures = 0;
    {
        const std::lock_guard lock(mutex_);
        auto used = used_;
        UsedCard& card = used[uuid];
        card.uuid = uuid;
        card.problem = problem;
        failures = ++card.failures;
        card.next_try_boot_ms = boot_clock_ms() + pause_after_ms(failures);
        save(std::move(used));
    }
    if (failures != scrub_tries_max)
        return spdlog::warn("what a guest left in the memory of card {} is still there after try {}: {}",
                            uuid, failures, problem);
    spdlog::error(
        "card {} is offered to nobody until its memory is overwritten: {}. Remedy: end what else uses its "
        "memory, look at dmesg for what the driver says, then reset the card or start the host anew",
        uuid, problem);
    parts_.offers_changed();
}

}  // namespace fallow::agent

#include "agent/card_keeper.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "agent/card_json.hpp"
#include "agent/clock.hpp"
#include "agent/state.hpp"

namespace fallow::agent {
namespace {

void log_verdict(const CardFacts& card) {
    const Verification& verification = *card.verification;
    if (!verification.passed) {
        spdlog::error("{} {} is refused and offered to nobody: {}. Remedy: {}", card.product, card.uuid,
                      verification.reason, verification.remedy);
    } else if (card.capacity) {
        spdlog::info("{} {} has proved {} through {}", card.product, card.uuid,
                     format_bytes(card.capacity->vram_bytes), driver_name(*verification.measured));
    }
}

}  // namespace

CardKeeper::CardKeeper(KeeperOptions options, CardSource* source)
    : options_(std::move(options)), probe_(options_.probe), source_(source == nullptr ? probe_ : *source) {}

std::vector<CardFacts> CardKeeper::kept(const std::filesystem::path& file) {
    try {
        if (!file.empty() && std::filesystem::exists(file)) return parse_cards(read_file(file));
    } catch (const std::exception& error) {
        spdlog::warn("the cards are measured anew: {}", error.what());
    }
    return {};
}

/// A card that is away now keeps what it proved, or the refusal of a card could be shaken off by hiding it.
void CardKeeper::keep(const std::vector<CardFacts>& cards) const {
    if (options_.file.empty()) return;
    std::vector<CardFacts> all = cards;
    for (CardFacts& before : kept(options_.file)) {
        const bool is_here = std::any_of(cards.begin(), cards.end(),
                                         [&](const CardFacts& card) { return card.uuid == before.uuid; });
        if (!is_here) all.push_back(std::move(before));
    }
    write_file_atomically(options_.file, encode_cards(all));
}

void CardKeeper::verify(CardFacts& card, const std::function<bool(const CardFacts&)>& is_leased,
                        const std::stop_token& stop) {
    std::stop_source measuring;
    {
        const std::lock_guard lock(mutex_);
        measuring_ = card;
        stop_measuring_ = measuring;
    }
    // Asked after the others can see what is measured: a lease that begins now either is seen or sees.
    std::optional<Verification> verification;
    if (!is_leased(card)) {
        const std::stop_callback on_stop(stop, [&] { measuring.request_stop(); });
        try {
            verification = source_.verify(card, measuring.get_token());
        } catch (const std::exception& error) {
            verification = not_measured(error.what(), wall_clock_ms());
        }
    }
    {
        const std::lock_guard lock(mutex_);
        measuring_.reset();
    }
    changed_.notify_all();
    if (!verification) return;
    take_verification(card, std::move(*verification));
    log_verdict(card);
}

FoundCards CardKeeper::take(const std::function<bool(const CardFacts&)>& is_leased, std::stop_token stop) {
    FoundCards found = source_.find(stop);
    if (stop.stop_requested()) return found;
    for (const std::string& problem : found.problems)
        spdlog::error("{}", problem);
    carry_over(found.cards, kept(options_.file));
    for (CardFacts& card : found.cards) {
        if (stop.stop_requested()) break;
        if (!options_.measures || !card.claims.can_be_measured() || is_in_use(card)) continue;
        if (!verification_is_due(card.verification, wall_clock_ms(), options_.verify_every_ms)) continue;
        verify(card, is_leased, stop);
        keep(found.cards);
    }
    keep(found.cards);
    return found;
}

void CardKeeper::yield(const std::vector<std::string>& uuids) {
    std::unique_lock lock(mutex_);
    const auto is_wanted = [&] {
        // A CPU device is measured with the processor that every guest uses.
        return measuring_ && (measuring_->device_class == "cpu" ||
                              std::find(uuids.begin(), uuids.end(), measuring_->uuid) != uuids.end());
    };
    if (!is_wanted()) return;
    stop_measuring_.request_stop();
    changed_.wait(lock, [&] { return !is_wanted(); });
}

}  // namespace fallow::agent

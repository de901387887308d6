#include "market/search/index.hpp"

#include <algorithm>

#include "market/pools.hpp"

namespace fallow::market::search {
Index::Index(const State& state, std::int64_t sequence) : state_(state.rules()) {
    add_all(state, std::type_identity<AnyRow>());
    settle(sequence);
}

template <class... Rows>
void Index::add_all(const State& state, std::type_identity<std::variant<Rows...>>) {
    (add<Rows>(state), ...);
}

template <class Row>
void Index::add(const State& state) {
    if constexpr (Indexed<Row>)
        for (const auto& [key, row] : state.table<Row>())
            replace(row, false);
}

void Index::put(const AnyRow& row) {
    std::visit([&](const auto& specific) { replace(specific, false); }, row);
}

void Index::remove(const AnyRow& row) {
    std::visit([&](const auto& specific) { replace(specific, true); }, row);
}

template <class Row>
void Index::replace(const Row& row, bool is_removed) {
    if constexpr (Indexed<Row>) {
        // A listing that was withdrawn never comes back.
        if constexpr (std::is_same_v<Row, Listing>)
            is_removed = is_removed || row.state == ListingState::withdrawn;
        touch(row);
        const Row* known = state_.find<Row>(KeyOf<Row>::of(row));
        if (!is_removed)
            state_.replace<Row>(known, &row);
        else if (known != nullptr)
            state_.replace<Row>(known, nullptr);
        touch(row);
    }
}

void Index::touch(const Organization& row) {
    for (const Offer& offer : offers_) {
        const Listing* listing = offer.is_used ? state_.find<Listing>(offer.listing) : nullptr;
        if (listing != nullptr && listing->organization == row.id) touched_.insert(listing->id);
    }
}

/// Those that it reaches by NVLink say how many of them are free.
void Index::touch(const Card& row) {
    const auto listing = state_.listing_of(row.id);
    if (!listing) return;
    std::set<CardId>& cards = touched_cards_[*listing];
    cards.insert(row.id);
    if (!row.details.nvlink_group) return;
    for (const CardId id : state_.at<Listing>(*listing).cards) {
        const Card* other = state_.find<Card>(id);
        if (other != nullptr && other->details.nvlink_group == row.details.nvlink_group) cards.insert(id);
    }
}

void Index::touch(const Freeze& row) {
    if (row.kind != FreezeKind::host) return;
    if (const auto host = HostId::parse(row.target)) touch_host(*host);
}

/// Called before the row is replaced and after it: once for a price that is another one.
void Index::touch(const SpotPool& row) {
    const SpotPool* known = state_.find<SpotPool>(row.id);
    if (known != nullptr && known->price == row.price) return;
    for (const ListingId listing : state_.spot_listings()) {
        for (const CardId id : state_.at<Listing>(listing).cards) {
            const Card* card = state_.find<Card>(id);
            if (card != nullptr && spot_pool_name(*card) == row.name) touched_cards_[listing].insert(id);
        }
    }
}

/// No card of its own has a value of its host, which changes with each lease that ends on it.
void Index::touch_host(HostId host) {
    for (const CardId card : state_.cards_of(host))
        if (const auto listing = state_.listing_of(card)) touched_cards_.try_emplace(*listing);
}

void Index::settle(std::int64_t sequence) {
    sequence_ = sequence;
    for (const ListingId listing : touched_)
        refresh(listing, nullptr);
    for (const auto& [listing, cards] : touched_cards_)
        if (!touched_.contains(listing)) refresh(listing, &cards);
    touched_.clear();
    touched_cards_.clear();
}

/// All cards of the listing, or `only` some.
void Index::refresh(ListingId id, const std::set<CardId>* only) {
    const Listing* listing = state_.find<Listing>(id);
    const bool is_shown = listing != nullptr && listing->state == ListingState::open &&
                          state_.find<Host>(listing->host) != nullptr &&
                          state_.find<Organization>(listing->organization) != nullptr;
    if (!is_shown) return drop(id);
    const bool is_new = !offer_of_.contains(id);
    const std::size_t offer = offer_of(id);
    refresh_offer(offer, *listing);
    for (const CardId card : listing->cards)
        if (only == nullptr || is_new || only->contains(card)) refresh_card(offer, *listing, card);
}

void Index::refresh_offer(std::size_t at, const Listing& listing) {
    const Facts facts = facts_of(state_, listing, nullptr);
    Offer& offer = offers_[at];
    if (shared_.write(at, facts)) offer.changed_at = sequence_;
    offer.is_ready = facts.host.state == HostState::online && !facts.host.unreachable_since &&
                     !state_.is_frozen(FreezeKind::host, facts.host.id.text()) &&
                     facts.seller.status != OrganizationStatus::frozen;
    offer.ask = listing.ask;
    offer.from = listing.available_from;
    offer.until = listing.available_until;
    offer.windows.clear();
    for (const std::string& text : listing.windows)
        if (const auto window = parse_weekly_window(text)) offer.windows.push_back(*window);
    offer.utc_offset_minutes = listing.windows_utc_offset_minutes;
}

void Index::refresh_card(std::size_t offer, const Listing& listing, CardId id) {
    const Card* card = state_.find<Card>(id);
    std::map<CardId, std::size_t>& rows = offers_[offer].rows;
    auto at = rows.find(id);
    if (card == nullptr) {
        if (at == rows.end()) return;
        drop_row(at->second);
        rows.erase(at);
        return;
    }
    const bool is_new = at == rows.end();
    if (is_new) {
        at = rows.emplace(id, cards_.add_row()).first;
        if (at->second == entries_.size()) entries_.emplace_back();
        entries_[at->second] = Entry{id, offer, sequence_, true};
    }
    if (cards_.write(at->second, facts_of(state_, listing, card)) || is_new)
        entries_[at->second].changed_at = sequence_;
}

std::size_t Index::offer_of(ListingId listing) {
    const auto [at, is_new] = offer_of_.try_emplace(listing, 0);
    if (!is_new) return at->second;
    at->second = shared_.add_row();
    if (at->second == offers_.size()) offers_.emplace_back();
    Offer& offer = offers_[at->second];
    offer = Offer{};
    offer.listing = listing;
    offer.changed_at = sequence_;
    offer.is_used = true;
    return at->second;
}

void Index::drop(ListingId listing) {
    const auto at = offer_of_.find(listing);
    if (at == offer_of_.end()) return;
    for (const auto& [card, row] : offers_[at->second].rows)
        drop_row(row);
    shared_.clear(at->second);
    offers_[at->second] = Offer{};
    offer_of_.erase(at);
}

void Index::drop_row(std::size_t row) {
    cards_.clear(row);
    entries_[row] = Entry{};
}

std::string Index::text() const {
    std::map<std::pair<ListingId, CardId>, std::string> lines;
    for (std::size_t row = 0; row < entries_.size(); ++row) {
        if (!entries_[row].is_used) continue;
        std::string& line = lines[{listing(row), card(row)}];
        for (const Field& field : fields()) {
            const Value value = at(row, field);
            line += std::string(field.name) + '=';
            if (!value.is_known)
                line += '?';
            else
                line += field.kind == Kind::text ? std::string(value.text) : std::to_string(value.number);
            line += ' ';
        }
    }
    std::string all;
    for (const auto& [key, line] : lines)
        all += line + '\n';
    return all;
}

}  // namespace fallow::market::search

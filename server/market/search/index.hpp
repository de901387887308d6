// The search index: every card that is on offer, in columns, kept by the rows that were committed. It holds
// the part of the market that search looks at, so that explanations can be made of the same state.
//
// Order: the query's keys (the price when it has none), then listing id, then card id. A page goes on after
// the last row of the page before it. A row that has changed since the first page was read is left out of
// later ones: it may have been shown already, at another place.
#pragma once

#include <map>
#include <set>
#include <unordered_map>
#include <vector>

#include "market/search/indexed.hpp"
#include "market/search/query.hpp"
#include "market/weekly_window.hpp"

namespace fallow::market::search {

/// Texts by number. A text that nobody holds any more makes room for another.
class Dictionary {
  public:
    [[nodiscard]] std::int64_t hold(std::string_view text);
    void release(std::int64_t number);
    [[nodiscard]] std::string_view text(std::int64_t number) const {
        return entries_[static_cast<std::size_t>(number)].text;
    }

  private:
    struct Entry {
        std::string text;
        std::size_t holders = 0;
    };
    std::vector<Entry> entries_;
    std::vector<std::int64_t> unused_;
    std::unordered_map<std::string, std::int64_t> numbers_;
};

/// A column for each field of one scope.
class Columns {
  public:
    explicit Columns(Scope scope);
    [[nodiscard]] std::size_t add_row();
    /// True when a value is another one than before.
    bool write(std::size_t row, const Facts& facts);
    void clear(std::size_t row);
    [[nodiscard]] Value at(std::size_t row, const Field& field) const;

  private:
    bool put(std::size_t row, const Field& field, const Cell& cell);

    Scope scope_;
    std::vector<std::vector<std::int64_t>> columns_;  ///< by position in fields(); empty for other scopes
    std::vector<std::size_t> unused_;
    std::size_t rows_ = 0;
    Dictionary texts_;
};

/// Where a page ends, so that the next can begin.
struct Position {
    std::int64_t first_sequence = 0;  ///< the journal's when the first page was read
    std::int64_t served = 0;          ///< rows on all pages so far
    std::vector<Cell> keys;
    ListingId listing;
    CardId card;
};

struct Search {
    const Query& query;
    Time now;
    bool everything = false;  ///< also what cannot be leased now
    std::size_t page = 0;     ///< rows
    std::optional<Position> after = {};
};

/// One value of a field among what was found.
struct FacetValue {
    std::string text;
    std::int64_t count = 0;
    ledger::Price lowest;
    ledger::Price highest;
    friend bool operator==(const FacetValue&, const FacetValue&) = default;
};
struct Facet {
    const Field* field = nullptr;
    std::vector<FacetValue> values;  ///< the most frequent first, then by text; limits::facet_values_max
};

struct Found {
    std::vector<std::size_t> rows;
    std::optional<Position> next;  ///< where there are more
    std::int64_t total = 0;        ///< of the first page: rows that match, as far as the query's limit goes
    std::vector<Facet> facets;     ///< of the first page: model, country and class, of all that match
};

class Index {
  public:
    explicit Index(Rules rules) : state_(std::move(rules)) {}
    /// The index of a whole market as journal record `sequence` left it.
    Index(const State& state, std::int64_t sequence);

    /// A committed row; settle() follows once for each journal record.
    void put(const AnyRow& row);
    void remove(const AnyRow& row);
    void settle(std::int64_t sequence);

    [[nodiscard]] Found search(const Search& search) const;

    // --- of a row that a search has found

    [[nodiscard]] ListingId listing(std::size_t row) const { return offers_[entries_[row].offer].listing; }
    [[nodiscard]] CardId card(std::size_t row) const { return entries_[row].card; }
    [[nodiscard]] Value at(std::size_t row, const Field& field) const {
        return field.scope == Scope::card ? cards_.at(row, field) : shared_.at(entries_[row].offer, field);
    }

    /// The rows that the index was made of: see indexed.hpp.
    [[nodiscard]] const State& state() const { return state_; }
    [[nodiscard]] std::int64_t sequence() const { return sequence_; }
    /// Every row with all its values, in the order of listing and card: for tests.
    [[nodiscard]] std::string text() const;

  private:
    struct Entry {
        CardId card;
        std::size_t offer = 0;
        std::int64_t changed_at = 0;
        bool is_used = false;
    };
    struct Offer {
        ListingId listing;
        std::map<CardId, std::size_t> rows;
        std::int64_t changed_at = 0;
        bool is_ready = false;  ///< online, and neither host nor seller is frozen
        ledger::Price ask;
        std::optional<Time> from;
        std::optional<Time> until;
        std::vector<WeeklyWindow> windows;  ///< none: always
        std::int32_t utc_offset_minutes = 0;
        bool is_used = false;
    };

    template <class Row>
    void replace(const Row& row, bool is_removed);
    template <class... Rows>
    void add_all(const State& state, std::type_identity<std::variant<Rows...>>);
    template <class Row>
    void add(const State& state);
    void touch(const Organization& row);
    void touch(const Host& row) { touch_host(row.id); }
    void touch(const Card& row);
    void touch(const Listing& row) { touched_.insert(row.id); }
    void touch(const Freeze& row);
    void touch(const SpotPool& row);
    template <class Row>
    void touch(const Row&) {}
    void touch_host(HostId host);

    void refresh(ListingId listing, const std::set<CardId>* only);
    void refresh_offer(std::size_t offer, const Listing& listing);
    void refresh_card(std::size_t offer, const Listing& listing, CardId card);
    void drop(ListingId listing);
    void drop_row(std::size_t row);
    std::size_t offer_of(ListingId listing);

    [[nodiscard]] bool can_be_leased(std::size_t row, Time now) const;
    [[nodiscard]] std::vector<std::size_t> matching(const Search& search) const;
    [[nodiscard]] std::vector<Facet> facets(const std::vector<std::size_t>& rows) const;
    [[nodiscard]] std::int64_t changed_at(std::size_t row) const;
    [[nodiscard]] bool is_after(const std::vector<OrderKey>& keys, std::size_t row,
                                const Position& position) const;
    [[nodiscard]] bool precedes(const std::vector<OrderKey>& keys, std::size_t a, std::size_t b) const;
    [[nodiscard]] Position position_of(const std::vector<OrderKey>& keys, std::size_t row) const;

    State state_;
    std::int64_t sequence_ = 0;
    Columns cards_{Scope::card};
    Columns shared_{Scope::offer};
    std::vector<Entry> entries_;  ///< by row of cards_
    std::vector<Offer> offers_;   ///< by row of shared_
    std::unordered_map<ListingId, std::size_t> offer_of_;
    std::set<ListingId> touched_;
    std::map<ListingId, std::set<CardId>> touched_cards_;
};

}  // namespace fallow::market::search

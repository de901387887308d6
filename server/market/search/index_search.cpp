#include <algorithm>

#include "market/search/index.hpp"

namespace fallow::market::search {
namespace {

class IndexRow : public Row {
  public:
    IndexRow(const Index& index, std::size_t row) : index_(index), row_(row) {}
    [[nodiscard]] Value at(const Field& field) const override { return index_.at(row_, field); }

  private:
    const Index& index_;
    std::size_t row_;
};

Value value_of(const Cell& cell) {
    if (const auto* number = std::get_if<std::int64_t>(&cell)) return {true, *number, {}};
    if (const auto* text = std::get_if<std::string>(&cell)) return {true, 0, *text};
    return {};
}

Cell cell_of(const Field& field, const Value& value) {
    if (!value.is_known) return {};
    return field.kind == Kind::text ? Cell(std::string(value.text)) : Cell(value.number);
}

}  // namespace

std::int64_t Index::changed_at(std::size_t row) const {
    return std::max(entries_[row].changed_at, offers_[entries_[row].offer].changed_at);
}

/// What search shows without being asked for everything.
bool Index::can_be_leased(std::size_t row, Time now) const {
    static const Field& free = *find_field("free");
    const Offer& offer = offers_[entries_[row].offer];
    return offer.is_ready && at(row, free).number != 0 && !(offer.from && now < *offer.from) &&
           !(offer.until && now >= *offer.until) &&
           (offer.windows.empty() || is_open(offer.windows, offer.utc_offset_minutes, now));
}

std::vector<std::size_t> Index::matching(const Search& search) const {
    std::vector<std::size_t> rows;
    for (std::size_t row = 0; row < entries_.size(); ++row) {
        if (!entries_[row].is_used || !matches(search.query, IndexRow(*this, row))) continue;
        if (search.everything || can_be_leased(row, search.now)) rows.push_back(row);
    }
    return rows;
}

bool Index::precedes(const std::vector<OrderKey>& keys, std::size_t a, std::size_t b) const {
    for (const OrderKey& key : keys)
        if (const int order = compare(key, at(a, *key.field), at(b, *key.field)); order != 0)
            return order < 0;
    return std::pair{listing(a), card(a)} < std::pair{listing(b), card(b)};
}

bool Index::is_after(const std::vector<OrderKey>& keys, std::size_t row, const Position& position) const {
    for (std::size_t i = 0; i < keys.size(); ++i)
        if (const int order = compare(keys[i], at(row, *keys[i].field), value_of(position.keys[i]));
            order != 0)
            return order > 0;
    return std::pair{listing(row), card(row)} > std::pair{position.listing, position.card};
}

Position Index::position_of(const std::vector<OrderKey>& keys, std::size_t row) const {
    Position position;
    for (const OrderKey& key : keys)
        position.keys.push_back(cell_of(*key.field, at(row, *key.field)));
    position.listing = listing(row);
    position.card = card(row);
    return position;
}

Found Index::search(const Search& search) const {
    const std::vector<OrderKey> keys = order_of(search.query);
    Found found;
    found.rows = matching(search);
    const auto most = [&](std::size_t count) {
        if (!search.query.limit) return count;
        const std::int64_t served = search.after ? search.after->served : 0;
        return std::min(count,
                        static_cast<std::size_t>(std::max<std::int64_t>(0, *search.query.limit - served)));
    };
    if (!search.after) {
        found.total = static_cast<std::int64_t>(most(found.rows.size()));
        found.facets = facets(found.rows);
    } else {
        std::erase_if(found.rows, [&](std::size_t row) {
            return changed_at(row) > search.after->first_sequence || !is_after(keys, row, *search.after);
        });
    }
    const std::size_t left = most(found.rows.size());
    const std::size_t shown = std::min(left, search.page);
    std::partial_sort(found.rows.begin(), found.rows.begin() + static_cast<std::ptrdiff_t>(shown),
                      found.rows.end(), [&](std::size_t a, std::size_t b) { return precedes(keys, a, b); });
    found.rows.resize(shown);
    if (left > shown && shown > 0) {
        found.next = position_of(keys, found.rows.back());
        found.next->first_sequence = search.after ? search.after->first_sequence : sequence_;
        found.next->served = (search.after ? search.after->served : 0) + static_cast<std::int64_t>(shown);
    }
    return found;
}

std::vector<Facet> Index::facets(const std::vector<std::size_t>& rows) const {
    std::vector<Facet> all;
    for (const std::string_view name : {"model", "country", "class"}) {
        const Field& field = *find_field(name);
        std::map<std::string_view, FacetValue> values;
        for (const std::size_t row : rows) {
            const Value value = at(row, field);
            if (!value.is_known) continue;
            const ledger::Price price = offers_[entries_[row].offer].ask;
            FacetValue& entry = values[value.text];
            entry.lowest = entry.count == 0 ? price : std::min(entry.lowest, price);
            entry.highest = std::max(entry.highest, price);
            ++entry.count;
        }
        Facet facet{&field, {}};
        for (auto& [text, value] : values) {
            value.text = text;
            facet.values.push_back(std::move(value));
        }
        std::stable_sort(facet.values.begin(), facet.values.end(),
                         [](const FacetValue& a, const FacetValue& b) { return a.count > b.count; });
        if (facet.values.size() > limits::facet_values_max) facet.values.resize(limits::facet_values_max);
        all.push_back(std::move(facet));
    }
    return all;
}

}  // namespace fallow::market::search

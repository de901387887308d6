#include <limits>

#include "market/search/index.hpp"

namespace fallow::market::search {
namespace {

constexpr std::int64_t unknown = std::numeric_limits<std::int64_t>::min();

}  // namespace

std::int64_t Dictionary::hold(std::string_view text) {
    const auto [at, is_new] = numbers_.try_emplace(std::string(text), 0);
    if (is_new) {
        if (unused_.empty()) {
            at->second = static_cast<std::int64_t>(entries_.size());
            entries_.emplace_back();
        } else {
            at->second = unused_.back();
            unused_.pop_back();
        }
        entries_[static_cast<std::size_t>(at->second)].text = text;
    }
    ++entries_[static_cast<std::size_t>(at->second)].holders;
    return at->second;
}

void Dictionary::release(std::int64_t number) {
    Entry& entry = entries_[static_cast<std::size_t>(number)];
    if (--entry.holders > 0) return;
    numbers_.erase(entry.text);
    entry.text.clear();
    unused_.push_back(number);
}

Columns::Columns(Scope scope) : scope_(scope), columns_(fields().size()) {}

std::size_t Columns::add_row() {
    if (!unused_.empty()) {
        const std::size_t row = unused_.back();
        unused_.pop_back();
        return row;
    }
    for (const Field& field : fields())
        if (field.scope == scope_) columns_[position_of(field)].push_back(unknown);
    return rows_++;
}

bool Columns::put(std::size_t row, const Field& field, const Cell& cell) {
    std::int64_t& place = columns_[position_of(field)][row];
    const std::int64_t before = place;
    if (field.kind == Kind::text) {
        const auto* text = std::get_if<std::string>(&cell);
        if (text != nullptr && before != unknown && texts_.text(before) == *text) return false;
        place = text != nullptr ? texts_.hold(*text) : unknown;
        if (before != unknown) texts_.release(before);
    } else {
        const auto* number = std::get_if<std::int64_t>(&cell);
        place = number != nullptr ? *number : unknown;
    }
    return place != before;
}

bool Columns::write(std::size_t row, const Facts& facts) {
    bool is_changed = false;
    for (const Field& field : fields())
        if (field.scope == scope_ && put(row, field, field.get(facts))) is_changed = true;
    return is_changed;
}

void Columns::clear(std::size_t row) {
    for (const Field& field : fields())
        if (field.scope == scope_) put(row, field, Cell());
    unused_.push_back(row);
}

Value Columns::at(std::size_t row, const Field& field) const {
    const std::int64_t value = columns_[position_of(field)][row];
    if (value == unknown) return {};
    if (field.kind == Kind::text) return {true, 0, texts_.text(value)};
    return {true, value, {}};
}

}  // namespace fallow::market::search

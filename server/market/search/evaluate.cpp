#include <algorithm>

#include "market/search/query.hpp"

namespace fallow::market::search {
namespace {

char fold(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equal(std::string_view text, const std::string& lower_case) {
    return std::ranges::equal(text, lower_case, {}, fold);
}

bool contains(std::string_view text, const std::string& lower_case) {
    return std::search(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                       [](char a, char b) { return fold(a) == b; }) != text.end();
}

bool holds_for_text(const Condition& condition, std::string_view text) {
    const auto is_equal = [&](const std::string& wanted) { return equal(text, wanted); };
    switch (condition.op) {
        case Operator::not_equal:
            return !is_equal(condition.texts.front());
        case Operator::contains:
            return contains(text, condition.texts.front());
        default:
            return std::ranges::any_of(condition.texts, is_equal);
    }
}

bool holds_for_number(const Condition& condition, std::int64_t value) {
    const std::vector<std::int64_t>& wanted = condition.numbers;
    switch (condition.op) {
        case Operator::not_equal:
            return value != wanted.front();
        case Operator::less:
            return value < wanted.front();
        case Operator::at_most:
            return value <= wanted.front();
        case Operator::greater:
            return value > wanted.front();
        case Operator::at_least:
            return value >= wanted.front();
        case Operator::between:
            return value >= wanted[0] && value <= wanted[1];
        default:
            return std::ranges::find(wanted, value) != wanted.end();
    }
}

Truth truth_of(const Condition& condition, const Row& row) {
    const Value value = row.at(*condition.field);
    if (condition.op == Operator::known) return value.is_known ? Truth::yes : Truth::no;
    if (!value.is_known) return Truth::unknown;
    const bool holds = condition.field->kind == Kind::text ? holds_for_text(condition, value.text)
                                                           : holds_for_number(condition, value.number);
    return holds ? Truth::yes : Truth::no;
}

Truth negated(Truth truth) {
    if (truth == Truth::unknown) return truth;
    return truth == Truth::yes ? Truth::no : Truth::yes;
}

/// The truth of several parts together: `deciding` as soon as one part has it.
Truth joined(const Query& query, const Node& node, const Row& row, Truth deciding) {
    bool is_unknown = false;
    for (const std::size_t child : node.children) {
        const Truth truth = evaluate(query, child, row);
        if (truth == deciding) return truth;
        is_unknown = is_unknown || truth == Truth::unknown;
    }
    return is_unknown ? Truth::unknown : negated(deciding);
}

}  // namespace

Value FactsRow::at(const Field& field) const {
    cell_ = field.get(facts_);
    if (const auto* number = std::get_if<std::int64_t>(&cell_)) return {true, *number, {}};
    if (const auto* text = std::get_if<std::string>(&cell_)) return {true, 0, *text};
    return {};
}

Truth evaluate(const Query& query, std::size_t node, const Row& row) {
    const Node& here = query.nodes[node];
    switch (here.kind) {
        case NodeKind::condition:
            return truth_of(query.conditions[here.condition], row);
        case NodeKind::negation:
            return negated(evaluate(query, here.children.front(), row));
        case NodeKind::all:
            return joined(query, here, row, Truth::no);
        case NodeKind::any:
            return joined(query, here, row, Truth::yes);
    }
    return Truth::unknown;
}

bool matches(const Query& query, const Row& row) {
    return !query.root || evaluate(query, *query.root, row) == Truth::yes;
}

std::vector<OrderKey> order_of(const Query& query) {
    if (!query.order.empty()) return query.order;
    return {OrderKey{find_field("price"), false}};
}

int compare(const OrderKey& key, const Value& a, const Value& b) {
    if (!a.is_known || !b.is_known) return static_cast<int>(b.is_known) - static_cast<int>(a.is_known);
    int order = 0;
    if (key.field->kind == Kind::text) {
        const auto folded = [](std::string_view text) { return lower(text); };
        order = folded(a.text).compare(folded(b.text));
        if (order == 0) order = a.text.compare(b.text);
    } else {
        order = a.number < b.number ? -1 : static_cast<int>(a.number > b.number);
    }
    return key.is_descending ? -order : order;
}

}  // namespace fallow::market::search

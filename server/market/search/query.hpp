// A query: which cards, in which order, how many.
//
//   model in (h100, h200) and vram >= 80GiB and not country = US and price < 2.10
//   order by price, memory_bandwidth desc limit 10
//
// What is not known is neither true nor false: a comparison with an unknown value is unknown, so is its
// negation, and only what is true is found. `FIELD is unknown` asks for it. Texts compare without regard to
// letters' case.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "market/search/fields.hpp"

namespace fallow::market::search {

enum class Operator {
    equal,
    not_equal,
    less,
    at_most,
    greater,
    at_least,
    contains,
    one_of,
    between,
    known
};

/// FIELD OPERATOR VALUE. Texts hold lower case.
struct Condition {
    const Field* field = nullptr;
    Operator op = Operator::equal;
    std::vector<std::int64_t> numbers;
    std::vector<std::string> texts;
};

enum class NodeKind { condition, all, any, negation };

struct Node {
    NodeKind kind = NodeKind::condition;
    std::size_t condition = 0;          ///< in Query::conditions
    std::vector<std::size_t> children;  ///< in Query::nodes
    std::size_t begin = 0;              ///< the part of the text that it is
    std::size_t end = 0;
};

struct OrderKey {
    const Field* field = nullptr;
    bool is_descending = false;
};

struct Query {
    std::string text;
    std::vector<Node> nodes;
    std::vector<Condition> conditions;
    std::optional<std::size_t> root;  ///< none: every card
    std::vector<OrderKey> order;
    std::optional<std::int64_t> limit;
};

/// invalid_field with the position in the text, the remedy and the nearest known name; without a pointer.
[[nodiscard]] Result<Query> parse_query(std::string text);

/// Parses the query of an order's requirements, which has no `order by` and no `limit`: an order takes the
/// cheapest card, and as many as it asks for. The error points to /requirements/query.
[[nodiscard]] Status compile(Requirements& requirements);

/// The conditions that must all hold, each as it stands in the text.
[[nodiscard]] std::vector<std::size_t> conjuncts(const Query& query);
[[nodiscard]] std::string_view text_of(const Query& query, std::size_t node);

/// A field's value in one row.
struct Value {
    bool is_known = false;
    std::int64_t number = 0;
    std::string_view text;
};

class Row {
  public:
    virtual ~Row() = default;
    /// The value is good until the next call.
    [[nodiscard]] virtual Value at(const Field& field) const = 0;
};

/// A card as matching sees it: its fields are read when they are asked for.
class FactsRow : public Row {
  public:
    explicit FactsRow(const Facts& facts) : facts_(facts) {}
    [[nodiscard]] Value at(const Field& field) const override;

  private:
    const Facts& facts_;
    mutable Cell cell_;
};

FALLOW_ENUM(Truth, no, yes, unknown)

[[nodiscard]] Truth evaluate(const Query& query, std::size_t node, const Row& row);
/// Whether the row is found: everything that is asked for is true of it.
[[nodiscard]] bool matches(const Query& query, const Row& row);

/// The keys that rows are ordered by: the query's, or the price.
[[nodiscard]] std::vector<OrderKey> order_of(const Query& query);

/// Below, equal or above zero, as `a` comes before, with or after `b` by this key. Unknown comes last,
/// whatever the direction.
[[nodiscard]] int compare(const OrderKey& key, const Value& a, const Value& b);

}  // namespace fallow::market::search

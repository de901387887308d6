#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/limits.hpp"
#include "market/search/lexer.hpp"
#include "market/search/query.hpp"

namespace fallow::market::search {
namespace {

/// Recursive descent; the first error is thrown within this file alone and returned by parse_query.
struct Wrong {
    Error error;
};

class Parser {
  public:
    Parser(Query& query, std::vector<Token> tokens) : query_(query), tokens_(std::move(tokens)) {}

    void parse() {
        if (!is_word("order") && !is_word("limit") && here().kind != TokenKind::end) query_.root = any();
        if (take_word("order")) order();
        if (take_word("limit")) limit();
        if (here().kind == TokenKind::end) return;
        if (query_.limit) fail("Nothing comes after the limit.");
        if (!query_.order.empty()) unexpected({",", "asc", "desc", "limit"});
        unexpected({"and", "or", "order by", "limit"});
    }

  private:
    [[nodiscard]] const Token& here() const { return tokens_[at_]; }
    const Token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
    [[nodiscard]] std::size_t last_end() const { return at_ == 0 ? 0 : tokens_[at_ - 1].end; }
    [[nodiscard]] bool is_word(std::string_view word) const {
        return here().kind == TokenKind::word && lower(here().text) == word;
    }
    [[nodiscard]] bool is_symbol(std::string_view symbol) const {
        return here().kind == TokenKind::symbol && here().text == symbol;
    }
    bool take_word(std::string_view word) {
        const bool is_here = is_word(word);
        if (is_here) ++at_;
        return is_here;
    }
    bool take_symbol(std::string_view symbol) {
        const bool is_here = is_symbol(symbol);
        if (is_here) ++at_;
        return is_here;
    }

    [[noreturn]] void fail(std::string_view sentence) const { fail_at(here().begin, sentence); }
    [[noreturn]] static void fail_at(std::size_t position, std::string_view sentence) {
        throw Wrong{query_error(position, sentence)};
    }
    /// "There is "adn" where and, or … may stand; did you mean "and"?"
    [[noreturn]] void unexpected(const std::vector<std::string_view>& expected) const {
        std::string list;
        for (const std::string_view word : expected)
            list += fmt::format("{}{}", list.empty() ? "" : ", ", word);
        const auto near = here().kind == TokenKind::word ? nearest(here().text, expected) : std::nullopt;
        fail(fmt::format("Here is {}, where there can be: {}{}", quoted(), list,
                         near ? fmt::format("; did you mean \"{}\"?", *near) : std::string(".")));
    }
    [[nodiscard]] std::string quoted() const {
        return here().kind == TokenKind::end ? "the end" : fmt::format("\"{}\"", here().text);
    }
    void expect_symbol(std::string_view symbol) {
        if (!take_symbol(symbol)) unexpected({symbol});
    }

    std::size_t add(Node node) {
        query_.nodes.push_back(std::move(node));
        return query_.nodes.size() - 1;
    }
    void enter() {
        if (++depth_ > limits::query_depth_max)
            fail(fmt::format("Parentheses and `not` go at most {} deep.", limits::query_depth_max));
    }

    std::size_t any() { return joined("or", NodeKind::any, &Parser::all); }
    std::size_t all() { return joined("and", NodeKind::all, &Parser::negation); }

    std::size_t joined(std::string_view word, NodeKind kind, std::size_t (Parser::*part)()) {
        const std::size_t begin = here().begin;
        std::vector<std::size_t> parts{(this->*part)()};
        while (take_word(word))
            parts.push_back((this->*part)());
        if (parts.size() == 1) return parts.front();
        return add({kind, 0, std::move(parts), begin, last_end()});
    }

    std::size_t negation() {
        const std::size_t begin = here().begin;
        if (!take_word("not")) return primary();
        enter();
        const std::size_t inner = negation();
        --depth_;
        return add({NodeKind::negation, 0, {inner}, begin, last_end()});
    }

    std::size_t primary() {
        const std::size_t begin = here().begin;
        if (!take_symbol("(")) return condition();
        enter();
        const std::size_t inner = any();
        --depth_;
        if (!take_symbol(")")) unexpected({"and", "or", ")"});
        query_.nodes[inner].begin = begin;
        query_.nodes[inner].end = last_end();
        return inner;
    }

    const Field& field() {
        if (here().kind != TokenKind::word)
            fail(fmt::format("Here is {}, where a field must be.", quoted()));
        const Field* found = find_field(here().text);
        if (found == nullptr) {
            const auto near = nearest(here().text, field_names());
            fail(fmt::format("There is no field \"{}\"{}", here().text,
                             near ? fmt::format("; did you mean \"{}\"?", *near)
                                  : std::string("; GET /v1/search/fields has them all.")));
        }
        ++at_;
        return *found;
    }

    std::size_t condition() {
        if (query_.conditions.size() == limits::query_conditions_max)
            fail(fmt::format("A query has at most {} conditions.", limits::query_conditions_max));
        const std::size_t begin = here().begin;
        Condition condition;
        condition.field = &field();
        const bool is_negated = comparison(condition);
        query_.conditions.push_back(std::move(condition));
        const std::size_t node =
            add({NodeKind::condition, query_.conditions.size() - 1, {}, begin, last_end()});
        return is_negated ? add({NodeKind::negation, 0, {node}, begin, last_end()}) : node;
    }

    /// What follows the field; true when it is negated.
    bool comparison(Condition& condition) {
        if (take_word("is")) return known(condition);
        const bool is_negated = is_word("not");
        if (is_negated) take();
        if (take_word("in")) {
            condition.op = Operator::one_of;
            list(condition);
            return is_negated;
        }
        if (take_word("between")) {
            between(condition);
            return is_negated;
        }
        if (is_negated) unexpected({"in", "between"});
        if (const auto op = take_operator(*condition.field)) {
            condition.op = *op;
            value(condition);
            return false;
        }
        if (condition.field->kind != Kind::boolean)
            unexpected({"=", "!=", "<", "<=", ">", ">=", "~", "in", "between", "is", "not"});
        condition.numbers.push_back(1);  // a boolean field alone
        return false;
    }

    bool known(Condition& condition) {
        condition.op = Operator::known;
        const bool is_negated = take_word("not");
        if (take_word("known")) return is_negated;
        if (take_word("unknown")) return !is_negated;
        unexpected({"known", "unknown", "not"});
    }

    std::optional<Operator> take_operator(const Field& field) {
        struct Symbol {
            std::string_view text;
            Operator op;
        };
        static constexpr std::array<Symbol, 9> symbols{{{"=", Operator::equal},
                                                        {"==", Operator::equal},
                                                        {"!=", Operator::not_equal},
                                                        {"<>", Operator::not_equal},
                                                        {"<", Operator::less},
                                                        {"<=", Operator::at_most},
                                                        {">", Operator::greater},
                                                        {">=", Operator::at_least},
                                                        {"~", Operator::contains}}};
        for (const auto& [text, op] : symbols) {
            if (!is_symbol(text)) continue;
            if (op == Operator::contains && field.kind != Kind::text)
                fail(fmt::format("\"~\" is for texts; {} is {}: use =, <, >, in or between.", field.name,
                                 noun_of(field.kind)));
            const bool is_equality = op == Operator::equal || op == Operator::not_equal;
            if (!is_equality && op != Operator::contains) need_ordered(field);
            ++at_;
            return op;
        }
        return std::nullopt;
    }

    void need_ordered(const Field& field) const {
        if (!is_ordered(field.kind))
            fail(fmt::format("{} is {}, which has no less or more: use =, != {}.", field.name,
                             noun_of(field.kind), field.kind == Kind::text ? "in or ~" : "or in"));
    }

    void list(Condition& condition) {
        expect_symbol("(");
        do
            value(condition);
        while (take_symbol(","));
        if (!take_symbol(")")) unexpected({",", ")"});
    }

    void between(Condition& condition) {
        condition.op = Operator::between;
        need_ordered(*condition.field);
        value(condition);
        if (!take_word("and")) unexpected({"and"});
        const std::size_t second = here().begin;
        value(condition);
        if (condition.numbers[0] > condition.numbers[1])
            fail_at(second, "The second bound lies below the first: nothing is between them.");
    }

    void value(Condition& condition) {
        const Token token = here();
        if (token.kind != TokenKind::word && token.kind != TokenKind::quoted)
            fail(fmt::format("Here is {}, where a value must be: give {}.", quoted(),
                             example_of(condition.field->kind)));
        if (++values_ > limits::query_values_max)
            fail(fmt::format("A query has at most {} values.", limits::query_values_max));
        if (token.text.size() > limits::query_value_bytes_max)
            fail(fmt::format("A value has at most {} bytes.", limits::query_value_bytes_max));
        take();
        if (condition.field->kind == Kind::text) {
            condition.texts.push_back(lower(token.text));
            return;
        }
        std::string text(token.text);
        if (is_unit_here(condition.field->kind)) text += take().text;
        const auto number = read_value(condition.field->kind, text);
        if (!number)
            fail_at(token.begin, fmt::format("{} is {}. {}", condition.field->name,
                                             noun_of(condition.field->kind), number.error().detail));
        condition.numbers.push_back(*number);
    }

    /// A unit may stand apart from its number: 80 GiB.
    [[nodiscard]] bool is_unit_here(Kind kind) const {
        if (here().kind != TokenKind::word) return false;
        return std::ranges::any_of(units_of(kind), [&](const Unit& unit) {
            return !unit.name.empty() && lower(unit.name) == lower(here().text);
        });
    }

    void order() {
        if (!take_word("by")) unexpected({"by"});
        do {
            if (query_.order.size() == limits::query_order_keys_max)
                fail(fmt::format("There are at most {} keys to order by.", limits::query_order_keys_max));
            OrderKey key;
            key.field = &field();
            key.is_descending = take_word("desc");
            if (!key.is_descending) take_word("asc");
            query_.order.push_back(key);
        } while (take_symbol(","));
    }

    void limit() {
        const auto number = here().kind == TokenKind::word ? read_value(Kind::number, here().text)
                                                           : Result<std::int64_t>(Error{});
        if (!number || *number < 1 || *number > limits::query_limit_max)
            fail(fmt::format("Give a limit from 1 to {}.", limits::query_limit_max));
        query_.limit = *number;
        ++at_;
    }

    Query& query_;
    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    std::size_t depth_ = 0;
    std::size_t values_ = 0;
};

void flatten(const Query& query, std::size_t node, std::vector<std::size_t>& parts) {
    if (query.nodes[node].kind != NodeKind::all) {
        parts.push_back(node);
        return;
    }
    for (const std::size_t child : query.nodes[node].children)
        flatten(query, child, parts);
}

}  // namespace

Result<Query> parse_query(std::string text) try {
    if (text.size() > limits::query_bytes_max)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("A query has at most {} bytes.", limits::query_bytes_max));
    Query query;
    query.text = std::move(text);
    auto tokens = tokens_of(query.text);
    if (!tokens) return tokens.error();
    Parser(query, std::move(*tokens)).parse();
    return query;
} catch (const Wrong& wrong) {
    return wrong.error;
}

Status compile(Requirements& requirements) {
    constexpr std::string_view pointer = "/requirements/query";
    auto query = parse_query(*requirements.query);
    if (!query) return refuse(query.error().code, query.error().detail, std::string(pointer));
    if (!query->order.empty() || query->limit)
        return refuse(ErrorCode::invalid_field,
                      "An order takes the cheapest cards and has a count: leave out order by and limit.",
                      std::string(pointer));
    requirements.compiled = std::make_shared<const Query>(std::move(*query));
    return Done{};
}

std::vector<std::size_t> conjuncts(const Query& query) {
    std::vector<std::size_t> parts;
    if (query.root) flatten(query, *query.root, parts);
    return parts;
}

std::string_view text_of(const Query& query, std::size_t node) {
    return std::string_view(query.text)
        .substr(query.nodes[node].begin, query.nodes[node].end - query.nodes[node].begin);
}

}  // namespace fallow::market::search

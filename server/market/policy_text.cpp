// Reads the text of a policy. Grammar: schema/policy/README.md.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

#include "base/limits.hpp"
#include "market/jurisdiction.hpp"

namespace fallow::market {
namespace {

struct Token {
    enum class Kind { word, text, sign, end };
    Kind kind = Kind::end;
    std::string_view text;
};

/// One rule or group: its first line's number, and its tokens.
struct Statement {
    std::size_t line = 0;
    std::vector<Token> tokens;
};

/// Thrown inside this file only; parse_policy turns it into a refusal.
struct Wrong {
    std::size_t line;
    std::string what;
};

bool is_word_character(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '@';
}

/// Takes the next token off the front of `line`; comments and spaces before it go.
Token next_token(std::string_view& line, std::size_t number) {
    while (!line.empty() && (line.front() == ' ' || line.front() == '\t'))
        line.remove_prefix(1);
    if (line.empty() || line.front() == '#') return {};
    const auto take = [&](std::size_t size) {
        const std::string_view taken = line.substr(0, size);
        line.remove_prefix(size);
        return taken;
    };
    if (line.front() == '"') {
        const std::size_t end = line.find('"', 1);
        if (end == std::string_view::npos) throw Wrong{number, "a text without its closing quote"};
        const std::string_view quoted = take(end + 1);
        return {Token::Kind::text, quoted.substr(1, quoted.size() - 2)};
    }
    for (const std::string_view sign : {">=", "!=", "=", "<", "(", ")", ","})
        if (line.starts_with(sign)) return {Token::Kind::sign, take(sign.size())};
    std::size_t size = 0;
    while (size < line.size() && is_word_character(line[size]))
        ++size;
    if (size == 0) throw Wrong{number, fmt::format("\"{}\" has no meaning here", line.front())};
    return {Token::Kind::word, take(size)};
}

std::vector<Statement> statements_of(std::string_view text) {
    std::vector<Statement> statements;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        const bool goes_on = line.starts_with(' ') || line.starts_with('\t');
        Token token = next_token(line, number);
        if (token.kind == Token::Kind::end) continue;
        if (!goes_on) statements.push_back({number, {}});
        if (statements.empty()) throw Wrong{number, "the first rule begins with a space"};
        for (; token.kind != Token::Kind::end; token = next_token(line, number))
            statements.back().tokens.push_back(token);
    }
    return statements;
}

class Parser {
  public:
    PolicyRules parse(std::string_view text) {
        for (const Statement& statement : statements_of(text)) {
            statement_ = &statement;
            at_ = 0;
            const std::string_view verb = word("group, allow, deny or needs-approval");
            if (verb == "group")
                group();
            else
                rule(verb);
            if (at_ != statement.tokens.size()) fail(fmt::format("\"{}\" is too much", peek().text));
        }
        return std::move(rules_);
    }

  private:
    void group() {
        const std::string name = new_name(group_names_);
        sign("=");
        CountrySet countries;
        do
            add_country(countries, word("a country"));
        while (took(","));
        if (groups_.size() == limits::policy_groups_max)
            fail(fmt::format("there are more than {} groups", limits::policy_groups_max));
        groups_.emplace(name, countries);
    }

    void rule(std::string_view verb) {
        PolicyRule made;
        made.effect = effect_of(verb);
        made.name = new_name(rule_names_);
        if (took("when")) {
            do
                condition(made);
            while (took("and"));
        }
        if (!took("because")) fail("a rule needs a reason: because \"…\"");
        if (peek().kind != Token::Kind::text || peek().text.empty() ||
            peek().text.size() > limits::text_field_bytes_max)
            fail(fmt::format("a reason is a text in quotes of at most {} bytes",
                             limits::text_field_bytes_max));
        made.reason = std::string(next().text);
        if (rules_.size() == limits::policy_rules_max)
            fail(fmt::format("there are more than {} rules", limits::policy_rules_max));
        rules_.push_back(std::move(made));
    }

    PolicyEffect effect_of(std::string_view verb) const {
        if (verb == "allow") return PolicyEffect::allow;
        if (verb == "deny") return PolicyEffect::deny;
        if (verb == "needs-approval") return PolicyEffect::needs_approval;
        fail(fmt::format("\"{}\" is none of group, allow, deny, needs-approval", verb));
    }

    void condition(PolicyRule& made) {
        const std::string_view field = word("a condition");
        if (field == "host") return countries(made.host);
        if (field == "owner") return countries(made.owner);
        if (field == "renter") return countries(made.renter);
        if (field == "model") return each_value([&](std::string_view value) { add_model(made, value); });
        if (field == "segment")
            return each_value(
                [&](std::string_view value) { made.segments.push_back(named<Segment>(value)); });
        if (field == "device")
            return each_value(
                [&](std::string_view value) { made.devices.push_back(named<DeviceClass>(value)); });
        if (field == "end_use")
            return each_value([&](std::string_view value) { add_end_use(made, value); });
        if (field == "catalog") return is_known(made);
        if (field == "tpp") return bound(made.tpp_min, made.tpp_below, 1);
        if (field == "density") return bound(made.density_milli_min, made.density_milli_below, 1000);
        fail(
            fmt::format("\"{}\" is no condition; there are host, owner, renter, model, segment, device, "
                        "catalog, tpp, density, end_use",
                        field));
    }

    void countries(std::vector<CountryTest>& tests) {
        CountryTest test;
        if (took("!=")) {
            test.is_inside = false;
            add_country(test.countries, word("a country"));
        } else {
            test.is_inside = !took("not");
            each_value([&](std::string_view value) { add_country(test.countries, value); });
        }
        tests.push_back(test);
    }

    void add_country(CountrySet& to, std::string_view value) const {
        if (value.starts_with('@')) {
            const auto found = groups_.find(std::string(value.substr(1)));
            if (found == groups_.end()) fail(fmt::format("there is no group {} above", value.substr(1)));
            return to.insert(found->second);
        }
        if (!CountrySet::is_code(value))
            fail(fmt::format("\"{}\" is no country: two upper-case letters, or @ and a group", value));
        to.insert(value);
    }

    void add_model(PolicyRule& made, std::string_view value) const {
        if (find_model(value) == nullptr) fail(fmt::format("the catalog has no model \"{}\"", value));
        made.models.emplace_back(value);
    }

    void add_end_use(PolicyRule& made, std::string_view value) const {
        made.end_uses.push_back(value == "unstated" ? std::nullopt : std::optional(named<EndUse>(value)));
    }

    void is_known(PolicyRule& made) {
        sign("=");
        const std::string_view value = word("known or unknown");
        if (value != "known" && value != "unknown") fail("the catalog knows a card or not: known, unknown");
        made.is_known = value == "known";
    }

    /// ">= N" or "< N", once each. N has as many decimals as `scale` has zeros, at most.
    void bound(std::optional<std::int64_t>& min, std::optional<std::int64_t>& below, std::int64_t scale) {
        const bool is_min = took(">=");
        if (!is_min && !took("<")) fail("a number is compared by >= or <");
        std::optional<std::int64_t>& side = is_min ? min : below;
        if (side) fail("a rule has each bound once");
        side = number(word("a number"), scale);
    }

    std::int64_t number(std::string_view value, std::int64_t scale) const {
        constexpr std::size_t digits_max = 9;
        const std::size_t point = std::min(value.find('.'), value.size());
        std::string digits(value.substr(0, point));
        std::string decimals(point == value.size() ? "" : value.substr(point + 1));
        for (std::int64_t rest = scale; rest > 1; rest /= 10) {
            digits += decimals.empty() ? '0' : decimals.front();
            if (!decimals.empty()) decimals.erase(0, 1);
        }
        std::int64_t found = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), found);
        const bool is_whole = error == std::errc() && end == digits.data() + digits.size();
        if (!is_whole || found < 0 || !decimals.empty() || digits.size() > digits_max ||
            value.ends_with('.'))
            fail(fmt::format("\"{}\" is no number from 0 on with the decimals allowed here", value));
        return found;
    }

    /// "= A" or "in (A, B)".
    template <class Take>
    void each_value(Take&& take) {
        if (took("=")) return take(word("a value"));
        if (!took("in")) fail("a list is compared by \"= A\" or \"in (A, B)\"");
        sign("(");
        do
            take(word("a value"));
        while (took(","));
        sign(")");
    }

    template <NamedEnum E>
    E named(std::string_view value) const {
        const auto found = parse_enum<E>(value);
        if (!found) fail(fmt::format("\"{}\" is none of: {}", value, all_names<E>()));
        return *found;
    }

    std::string new_name(std::set<std::string>& known) {
        const std::string name(word("a name"));
        const bool is_name = name.size() <= limits::name_bytes_max && std::ranges::all_of(name, [](char c) {
                                 return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                             });
        if (!is_name) fail(fmt::format("\"{}\" is no name: lower-case letters, digits and hyphens", name));
        if (!known.insert(name).second) fail(fmt::format("the name {} is there twice", name));
        return name;
    }

    [[nodiscard]] Token peek() const {
        return at_ < statement_->tokens.size() ? statement_->tokens[at_] : Token{};
    }
    Token next() {
        const Token token = peek();
        ++at_;
        return token;
    }
    bool took(std::string_view expected) {
        const Token token = peek();
        if (token.kind == Token::Kind::text || token.kind == Token::Kind::end || token.text != expected)
            return false;
        ++at_;
        return true;
    }
    void sign(std::string_view expected) {
        if (!took(expected)) fail(fmt::format("\"{}\" is missing", expected));
    }
    std::string_view word(std::string_view what) {
        if (peek().kind != Token::Kind::word) fail(fmt::format("{} is missing", what));
        return next().text;
    }
    [[noreturn]] void fail(std::string what) const { throw Wrong{statement_->line, std::move(what)}; }

    const Statement* statement_ = nullptr;
    std::size_t at_ = 0;
    PolicyRules rules_;
    std::map<std::string, CountrySet> groups_;
    std::set<std::string> group_names_;
    std::set<std::string> rule_names_;
};

}  // namespace

Result<PolicyRules> parse_policy(std::string_view text) {
    if (text.size() > limits::policy_text_bytes_max)
        return refuse(ErrorCode::invalid_field,
                      fmt::format("A policy has at most {} bytes.", limits::policy_text_bytes_max),
                      "/text");
    try {
        return Parser().parse(text);
    } catch (const Wrong& wrong) {
        return refuse(ErrorCode::invalid_field, fmt::format("Line {}: {}.", wrong.line, wrong.what),
                      "/text");
    }
}

}  // namespace fallow::market

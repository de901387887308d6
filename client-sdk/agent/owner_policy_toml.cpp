// The text of an owner's policy.
#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <stdexcept>

#include "agent/owner_policy.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t cards_max = 1024;
constexpr std::int64_t idle_minutes_max = 24 * 60;
constexpr std::size_t list_items_max = 64;
constexpr std::int32_t day_minutes = 24 * 60;
constexpr std::array<std::string_view, 7> days = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

/// Reads the members of one table; the first that is wrong is thrown, with its line.
class Table {
  public:
    Table(const toml::table& table, const std::string& source) : table_(table), source_(source) {}

    [[noreturn]] void fail(std::string_view name, std::string_view remedy) const {
        const toml::node* const node = table_.get(name);
        const auto line = (node == nullptr ? table_.source() : node->source()).begin.line;
        throw std::runtime_error(fmt::format("{}:{}: {}: {}", source_, line, name, remedy));
    }

    std::optional<std::int64_t> whole(std::string_view name, std::int64_t min, std::int64_t max) const {
        const toml::node* const node = table_.get(name);
        if (node == nullptr) return std::nullopt;
        const auto value = node->is_integer() ? node->value<std::int64_t>() : std::nullopt;
        if (!value || *value < min || *value > max)
            fail(name, fmt::format("give a whole number from {} to {}", min, max));
        return value;
    }

    std::optional<std::string> text(std::string_view name) const {
        const toml::node* const node = table_.get(name);
        if (node == nullptr) return std::nullopt;
        const auto value = node->value<std::string>();
        if (!node->is_string() || value->empty()) fail(name, "give a text");
        return value;
    }

    std::vector<std::string> texts(std::string_view name) const {
        const toml::node* const node = table_.get(name);
        std::vector<std::string> all;
        if (node == nullptr) return all;
        const toml::array* const array = node->as_array();
        if (array == nullptr || array->size() > list_items_max)
            fail(name, fmt::format("give a list of at most {} texts", list_items_max));
        for (const toml::node& item : *array) {
            const auto value = item.value<std::string>();
            if (!item.is_string() || value->empty()) fail(name, "give texts");
            all.push_back(*value);
        }
        return all;
    }

    void know_only(const std::vector<std::string_view>& names) const {
        for (const auto& [key, node] : table_)
            if (std::ranges::find(names, key.str()) == names.end())
                fail(key.str(), fmt::format("the policy knows {} here", fmt::join(names, ", ")));
    }

  private:
    const toml::table& table_;
    const std::string& source_;
};

CardRules read_rules(const toml::table& table, const std::string& source) {
    const Table reader(table, source);
    reader.know_only(
        {"card", "idle_below_percent", "idle_for_minutes", "windows", "never_while", "take_back"});
    CardRules rules;
    rules.card = reader.text("card").value_or(rules.card);
    rules.idle_below_percent = reader.whole("idle_below_percent", 1, 100);
    rules.idle_for_ms = reader.whole("idle_for_minutes", 1, idle_minutes_max).value_or(10) * 60'000;
    for (const std::string& text : reader.texts("windows")) {
        const auto window = parse_policy_window(text);
        if (!window) reader.fail("windows", "give each as \"fri 18:00-mon 08:00\"");
        rules.windows.push_back(*window);
    }
    rules.never_while = reader.texts("never_while");
    const std::string take_back = reader.text("take_back").value_or("processes");
    if (take_back == "never")
        rules.take_back = TakeBack::never;
    else if (take_back == "processes")
        rules.take_back = TakeBack::processes;
    else if (take_back == "always")
        rules.take_back = TakeBack::always;
    else
        reader.fail("take_back", "give never, processes or always");
    return rules;
}

EgressPolicy read_network(const toml::table& table, const std::string& source) {
    const Table reader(table, source);
    reader.know_only({"egress", "allow", "deny", "dns"});
    EgressPolicy network;
    const std::string egress = reader.text("egress").value_or("internet");
    if (egress != "internet" && egress != "none") reader.fail("egress", "give internet or none");
    network.has_network = egress == "internet";
    const auto destinations = [&](std::string_view name) {
        std::vector<Destination> found;
        for (const std::string& text : reader.texts(name)) {
            const auto one = parse_destination(text);
            if (!one)
                reader.fail(name, "give each as \"10.1.0.0/16\", \"10.1.2.3:443\" or \"[fd00::5]:443\"");
            found.push_back(*one);
        }
        return found;
    };
    network.deny = destinations("deny");
    network.allow = destinations("allow");
    for (const Destination& one : network.allow)
        if (is_closed_for_good(one))
            reader.fail("allow", text_of(one) +
                                     " is link local, loopback, multicast or the guests' own: "
                                     "it stays closed, so leave it out");
    network.dns = reader.texts("dns");
    for (const std::string& address : network.dns) {
        const auto one = parse_destination(address);
        if (!one || one->port != 0 || address.find('/') != address.npos)
            reader.fail("dns", "give addresses of resolvers, like \"9.9.9.9\"");
    }
    return network;
}

/// "fri 18:00" as minutes since Monday 00:00.
std::optional<std::int32_t> minute_of_week(std::string_view text) {
    if (text.size() != 9 || text[3] != ' ' || text[6] != ':') return std::nullopt;
    const auto day = std::ranges::find(days, text.substr(0, 3));
    const auto digit = [&](std::size_t at) {
        return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : -1;
    };
    for (const std::size_t at : {4U, 5U, 7U, 8U})
        if (digit(at) < 0) return std::nullopt;
    const std::int32_t hour = digit(4) * 10 + digit(5);
    const std::int32_t minute = digit(7) * 10 + digit(8);
    if (day == days.end() || hour > 23 || minute > 59) return std::nullopt;
    return static_cast<std::int32_t>(day - days.begin()) * day_minutes + hour * 60 + minute;
}

}  // namespace

std::optional<PolicyWindow> parse_policy_window(std::string_view text) {
    constexpr std::size_t moment_length = 9;
    if (text.size() != 2 * moment_length + 1 || text[moment_length] != '-') return std::nullopt;
    const auto from = minute_of_week(text.substr(0, moment_length));
    const auto until = minute_of_week(text.substr(moment_length + 1));
    if (!from || !until) return std::nullopt;
    return PolicyWindow{*from, *until};
}

OwnerPolicy parse_policy(std::string_view text, const std::string& source) {
    toml::table document;
    try {
        document = toml::parse(text, source);
    } catch (const toml::parse_error& error) {
        throw std::runtime_error(
            fmt::format("{}:{}: {}", source, error.source().begin.line, error.description()));
    }
    const Table reader(document, source);
    reader.know_only({"keep_back", "card", "network"});
    OwnerPolicy policy;
    policy.keep_back = reader.whole("keep_back", 0, cards_max).value_or(0);
    if (const toml::node* const network = document.get("network")) {
        if (!network->is_table())
            reader.fail("network", "begin the rules for guests' packets with [network]");
        policy.network = read_network(*network->as_table(), source);
    }
    const toml::node* const cards = document.get("card");
    if (cards == nullptr) return policy;
    if (!cards->is_array_of_tables()) reader.fail("card", "begin each card's rules with [[card]]");
    for (const toml::node& item : *cards->as_array()) {
        CardRules rules = read_rules(*item.as_table(), source);
        const bool is_double =
            std::ranges::find(policy.cards, rules.card, &CardRules::card) != policy.cards.end();
        if (is_double) reader.fail("card", "the rules for " + rules.card + " stand there twice");
        policy.cards.push_back(std::move(rules));
    }
    return policy;
}

}  // namespace fallow::agent

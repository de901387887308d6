// The owner's policy as a walk through time: what is seen of a card, minute by minute, and what is decided.
#include "agent/owner_policy.hpp"

#include <catch2/catch.hpp>
#include <stdexcept>

using namespace fallow::agent;

namespace {

constexpr std::int64_t minute = 60'000;

/// A card looked at every 20 s.
class Card {
  public:
    explicit Card(CardRules card_rules) : rules(std::move(card_rules)) {}

    /// The decision at the end of that span.
    CardDecision pass(std::int64_t span_ms, std::optional<std::int64_t> percent) {
        const std::int64_t end = now + span_ms;
        while (now < end) {
            now += 20'000;
            last = decide(rules, history, {{now, percent, process, user}, minute_of_week, is_leased});
        }
        return last;
    }
    CardDecision look(std::optional<std::int64_t> percent) { return pass(20'000, percent); }

    CardRules rules;
    CardHistory history;
    std::int64_t now = 5'000'000;
    std::int32_t minute_of_week = 0;
    bool is_leased = false;
    std::string process;
    std::string user;
    CardDecision last;
};

CardRules idle_rules() {
    CardRules rules;
    rules.idle_below_percent = 20;
    rules.idle_for_ms = 10 * minute;
    return rules;
}

std::string refusal_of(const std::string& text) {
    try {
        static_cast<void>(parse_policy(text, "policy.toml"));
        return "fine";
    } catch (const std::runtime_error& error) {
        return error.what();
    }
}

}  // namespace

TEST_CASE("a card opens once it was idle for the whole time, and says how far it is") {
    Card card(idle_rules());
    const CardDecision early = card.pass(4 * minute, 0);
    CHECK_FALSE(early.is_offered);
    CHECK(early.reason == "it has been watched for 3 of 10 min");
    CHECK_FALSE(early.takes_back);
    CHECK_FALSE(card.pass(6 * minute, 0).is_offered);
    CHECK(card.look(0) == CardDecision{true, "", false});
}

TEST_CASE("what counts is the mean over the time") {
    Card card(idle_rules());
    card.pass(5 * minute, 30);
    // 30 % for the first half and 5 % for the second: 17 % on average.
    CHECK(card.pass(5 * minute + 20'000, 5).is_offered);
    Card busy(idle_rules());
    busy.pass(5 * minute, 40);
    CHECK(busy.pass(5 * minute + 20'000, 5).reason == "it is busy: 21 % over the last 10 min");
    CHECK(busy.pass(2 * minute, 5).is_offered);
}

TEST_CASE("a card with a process of its owner's on it is in use, however idle it is") {
    Card card(idle_rules());
    REQUIRE(card.pass(11 * minute, 0).is_offered);
    card.user = "process 7 (python3)";
    CHECK(card.look(0) == CardDecision{false, "it is in use: process 7 (python3) is on it", false});
    card.user.clear();
    CHECK(card.look(0).is_offered);  // 3 % of the time
}

TEST_CASE("what was in use for long opens when the mean over the time is idle again") {
    Card card(idle_rules());
    card.user = "process 7 (python3)";
    card.pass(11 * minute, std::nullopt);
    CHECK_FALSE(card.last.is_offered);
    card.user.clear();
    CHECK_FALSE(card.pass(7 * minute, 0).is_offered);
    CHECK(card.pass(2 * minute, 0).is_offered);
}

TEST_CASE("a process of the owner's takes no lease back, and counts only where the use does") {
    Card leased(idle_rules());
    leased.pass(11 * minute, 0);
    leased.is_leased = true;
    leased.user = "process 7 (python3)";
    CHECK(leased.look(0) == CardDecision{true, "", false});
    Card whatever{CardRules{}};
    whatever.user = "process 7 (python3)";
    CHECK(whatever.look(0).is_offered);
}

TEST_CASE("an offered card does not come and go at the edge of its rule") {
    Card card(idle_rules());
    card.pass(11 * minute, 19);
    REQUIRE(card.last.is_offered);
    CHECK(card.pass(5 * minute, 29).is_offered);
    // A little more for a moment is no reason yet, real work is.
    CHECK(card.look(32).is_offered);
    CHECK(card.look(80).reason == "it is busy: 42 % over the last minute");
    CHECK_FALSE(card.pass(3 * minute, 0).is_offered);
    CHECK(card.pass(5 * minute, 0).is_offered);
}

TEST_CASE("what a renter does with the card is not the owner's use") {
    Card card(idle_rules());
    card.pass(11 * minute, 0);
    card.is_leased = true;
    CHECK(card.pass(60 * minute, 100).is_offered);
    card.is_leased = false;
    CHECK(card.look(0).is_offered);
    CHECK_FALSE(card.pass(2 * minute, 90).is_offered);
}

TEST_CASE("an agent that starts beside a lease leaves it alone") {
    Card card(idle_rules());
    card.is_leased = true;
    CHECK(card.look(100) == CardDecision{true, "", false});
}

TEST_CASE("what is not known, or was not watched, opens nothing") {
    Card card(idle_rules());
    CHECK(card.pass(11 * minute, std::nullopt).reason == "its utilisation is not known");
    Card slept(idle_rules());
    slept.pass(9 * minute, 0);
    slept.now += 5 * minute;
    CHECK_FALSE(slept.pass(9 * minute, 0).is_offered);
    CHECK(slept.pass(2 * minute, 0).is_offered);
}

TEST_CASE("no card while a program of the owner's runs, nor soon after") {
    CardRules rules;
    rules.never_while = {"blender"};
    rules.idle_for_ms = 10 * minute;
    Card card(rules);
    CHECK(card.look(std::nullopt).is_offered);
    card.process = "blender";
    CHECK(card.look(std::nullopt) == CardDecision{false, "blender runs", true});
    card.process.clear();
    CHECK(card.pass(9 * minute, std::nullopt) == CardDecision{false, "blender ran 9 min ago", false});
    CHECK(card.pass(1 * minute, std::nullopt).is_offered);
}

TEST_CASE("what ends a lease that runs is the owner's choice") {
    struct Row {
        TakeBack take_back;
        bool on_process;
        bool on_window;
    };
    for (const Row& row : {Row{TakeBack::never, false, false}, Row{TakeBack::processes, true, false},
                           Row{TakeBack::always, true, true}}) {
        CardRules rules;
        rules.windows = {{0, 60}};
        rules.take_back = row.take_back;
        Card card(rules);
        card.is_leased = true;
        CHECK(card.look(0).is_offered);
        card.process = "blender";
        CHECK(card.look(0).takes_back == row.on_process);
        card.process.clear();
        card.minute_of_week = 60;
        CHECK_FALSE(card.look(0).is_offered);
        CHECK(card.last.takes_back == row.on_window);
        CHECK(card.last.reason == "it is outside of its windows");
    }
}

TEST_CASE("windows are weekly, and go over the end of the week") {
    CardRules rules;
    rules.windows = {*parse_policy_window("fri 18:00-mon 08:00"),
                     *parse_policy_window("tue 12:00-tue 13:00")};
    Card card(rules);
    const auto is_open = [&](const char* at) {
        card.minute_of_week = parse_policy_window(std::string(at) + "-mon 00:00")->from;
        return card.look(0).is_offered;
    };
    CHECK(is_open("fri 18:00"));
    CHECK(is_open("sun 23:59"));
    CHECK(is_open("mon 07:59"));
    CHECK_FALSE(is_open("mon 08:00"));
    CHECK(is_open("tue 12:30"));
    CHECK_FALSE(is_open("fri 17:59"));
    for (const char* wrong : {"", "fri 18:00", "fri 24:00-mon 08:00", "fry 18:00-mon 08:00",
                              "fri 18:60-mon 08:00", "fri 18.00-mon 08:00", "fri 18:00_mon 08:00"})
        CHECK_FALSE(parse_policy_window(wrong));
}

TEST_CASE("so many cards stay with their owner, the last ones first, and none that is leased") {
    const CardDecision open;
    const CardDecision busy{false, "busy", false};
    const auto kept = [](std::int64_t count, std::vector<CardDecision> decisions,
                         const std::vector<bool>& leased) {
        keep_back(count, decisions, leased);
        std::string text;
        for (const CardDecision& decision : decisions)
            text += decision.is_offered ? 'o' : '-';
        return text;
    };
    CHECK(kept(0, {open, open}, {false, false}) == "oo");
    CHECK(kept(1, {open, open, open}, {false, false, false}) == "oo-");
    CHECK(kept(1, {busy, open, open}, {false, false, false}) == "-oo");
    CHECK(kept(2, {open, open, open}, {false, false, true}) == "--o");
    CHECK(kept(3, {open, open}, {false, true}) == "-o");
}

TEST_CASE("the text of a policy") {
    const OwnerPolicy policy = parse_policy(R"(
keep_back = 1
[[card]]
idle_below_percent = 20
idle_for_minutes = 15
[[card]]
card = "1"
windows = ["sat 00:00-mon 00:00"]
never_while = ["blender", "train.py"]
take_back = "always"
)",
                                            "policy.toml");
    CHECK(policy.keep_back == 1);
    REQUIRE(policy.cards.size() == 2);
    CHECK(policy.cards[0].idle_for_ms == 15 * minute);
    CHECK(policy.cards[0].take_back == TakeBack::processes);
    CHECK(rules_for(policy, 0, "GPU-0") == &policy.cards[0]);
    CHECK(rules_for(policy, 1, "GPU-1") == &policy.cards[1]);
    CHECK(policy.cards[1].never_while == std::vector<std::string>{"blender", "train.py"});
    CHECK(rules_for(OwnerPolicy{}, 0, "GPU-0") == nullptr);
    CHECK(parse_policy("", "policy.toml") == OwnerPolicy{});
}

TEST_CASE("what a policy says of guests' packets") {
    const OwnerPolicy policy = parse_policy(R"(
[network]
allow = ["10.1.2.3:443", "fd12::/16"]
deny = ["8.8.8.0/24"]
dns = ["10.1.2.53"]
)",
                                            "policy.toml");
    CHECK(policy.network.has_network);
    REQUIRE(policy.network.allow.size() == 2);
    CHECK(text_of(policy.network.allow[0]) == "10.1.2.3/32:443");
    CHECK(text_of(policy.network.deny.at(0)) == "8.8.8.0/24");
    CHECK(policy.network.dns == std::vector<std::string>{"10.1.2.53"});
    CHECK_FALSE(parse_policy("[network]\negress = \"none\"", "policy.toml").network.has_network);
    for (const char* wrong :
         {"network = 1", "[network]\negress = \"some\"", "[network]\nallow = [\"example.org\"]",
          "[network]\nallow = [\"169.254.169.254\"]", "[network]\nallow = [\"::/0\"]",
          "[network]\ndeny = [\"10.0.0.0/40\"]", "[network]\ndns = [\"10.0.0.0/8\"]",
          "[network]\nports = [1]"}) {
        INFO(wrong);
        CHECK(refusal_of(wrong).starts_with("policy.toml:"));
    }
}

TEST_CASE("a policy that is not understood rents nothing out") {
    struct Row {
        const char* text;
        const char* says;
    };
    const Row rows[] = {
        {"keep_back = -1", "policy.toml:1: keep_back: give a whole number from 0 to 1024"},
        {"keep_back = \"1\"", "policy.toml:1: keep_back: give a whole number from 0 to 1024"},
        {"keep_bak = 1", "policy.toml:1: keep_bak: the policy knows keep_back, card, network here"},
        {"card = 1", "policy.toml:1: card: begin each card's rules with [[card]]"},
        {"[[card]]\nidle_below_percent = 0",
         "policy.toml:2: idle_below_percent: give a whole number from 1 to 100"},
        {"[[card]]\nidle_for_minutes = 1441",
         "policy.toml:2: idle_for_minutes: give a whole number from 1 to 1440"},
        {"[[card]]\nwindows = [\"always\"]",
         "policy.toml:2: windows: give each as \"fri 18:00-mon 08:00\""},
        {"[[card]]\nnever_while = \"x\"", "policy.toml:2: never_while: give a list of at most 64 texts"},
        {"[[card]]\nnever_while = [1]", "policy.toml:2: never_while: give texts"},
        {"[[card]]\ntake_back = \"sometimes\"",
         "policy.toml:2: take_back: give never, processes or always"},
        {"[[card]]\ncard = \"0\"\n[[card]]\ncard = \"0\"", "the rules for 0 stand there twice"},
        {"[[card]", "policy.toml:1:"},
    };
    for (const Row& row : rows) {
        INFO(row.text);
        CHECK_THAT(refusal_of(row.text), Catch::Contains(row.says));
    }
}

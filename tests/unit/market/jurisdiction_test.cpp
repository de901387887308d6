// The text of a policy and what its rules decide, without a market around them.
#include "market/jurisdiction.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <random>

#include "base/limits.hpp"

using namespace fallow;
using namespace fallow::market;

namespace {

PolicyRules rules_of(const std::string& text) {
    const auto rules = parse_policy(text);
    if (!rules) FAIL(rules.error().detail);
    return *rules;
}

PolicyCase facts(std::string_view model, std::string_view host, std::string_view owner,
                 std::string_view renter, std::optional<EndUse> end_use = std::nullopt,
                 DeviceClass device = DeviceClass::gpu) {
    return {find_model(model), device, host, owner, renter, end_use};
}

std::string name_of_rule(const PolicyRule* rule) {
    return rule == nullptr ? "-" : rule->name;
}

}  // namespace

TEST_CASE("Policy: what is no policy, and on which line") {
    struct Case {
        std::string text;
        const char* expected;
    };
    const std::string reason = " because \"r\"\n";
    for (const Case& row : std::vector<Case>{
             {"forbid a" + reason, "Line 1: \"forbid\" is none of group, allow, deny, needs-approval."},
             {"# a comment\n\ndeny a", "Line 3: a rule needs a reason: because \"…\"."},
             {"deny a because r", "Line 1: a reason is a text in quotes of at most 1024 bytes."},
             {"deny a because \"\"", "Line 1: a reason is a text in quotes of at most 1024 bytes."},
             {"deny a because \"r", "Line 1: a text without its closing quote."},
             {"deny a because \"r\" b", "Line 1: \"b\" is too much."},
             {"deny A" + reason, "Line 1: \"A\" is no name: lower-case letters, digits and hyphens."},
             {"deny" + reason + "deny a" + reason + "deny because because \"r\"",
              "Line 1: a rule needs a reason: because \"…\"."},
             {"deny a" + reason + "allow a" + reason, "Line 2: the name a is there twice."},
             {" deny a" + reason, "Line 1: the first rule begins with a space."},
             {"deny a when" + reason,
              "Line 1: \"because\" is no condition; there are host, owner, renter, model, "
              "segment, device, catalog, tpp, density, end_use."},
             {"deny a when renter" + reason, "Line 1: a list is compared by \"= A\" or \"in (A, B)\"."},
             {"deny a when renter in (" + reason,
              "Line 1: \"because\" is no country: two upper-case letters, or @ and a group."},
             {"deny a when renter in (DE" + reason, "Line 1: \")\" is missing."},
             {"deny a when renter = de" + reason,
              "Line 1: \"de\" is no country: two upper-case letters, or @ and a group."},
             {"deny a when renter = DEU" + reason,
              "Line 1: \"DEU\" is no country: two upper-case letters, or @ and a group."},
             {"deny a when renter in (@eu)" + reason, "Line 1: there is no group eu above."},
             {"group eu = DE,\n", "Line 1: a country is missing."},
             {"group eu = DE\ngroup eu = FR\n", "Line 2: the name eu is there twice."},
             {"deny a when model = h100" + reason, "Line 1: the catalog has no model \"h100\"."},
             {"deny a when segment = cloud" + reason,
              "Line 1: \"cloud\" is none of: datacenter, workstation, consumer."},
             {"deny a when end_use = mining" + reason,
              "Line 1: \"mining\" is none of: ai_training, ai_inference, rendering, simulation, research, "
              "military, other."},
             {"deny a when catalog = maybe" + reason,
              "Line 1: the catalog knows a card or not: known, unknown."},
             {"deny a when tpp = 4800" + reason, "Line 1: a number is compared by >= or <."},
             {"deny a when tpp >= 4800.5" + reason,
              "Line 1: \"4800.5\" is no number from 0 on with the decimals allowed here."},
             {"deny a when tpp >= -1" + reason,
              "Line 1: \"-1\" is no number from 0 on with the decimals allowed here."},
             {"deny a when tpp >= 1 and tpp >= 2" + reason, "Line 1: a rule has each bound once."},
             {"deny a when density < 5.9201" + reason,
              "Line 1: \"5.9201\" is no number from 0 on with the decimals allowed here."},
             {"deny a when density < 9999999999" + reason,
              "Line 1: \"9999999999\" is no number from 0 on with the decimals allowed here."},
             {"deny a when price > 1" + reason, "Line 1: \">\" has no meaning here."},
             {std::string(limits::policy_text_bytes_max + 1, '#'), "A policy has at most 65536 bytes."}}) {
        INFO(row.text.substr(0, 200));
        const auto parsed = parse_policy(row.text);
        REQUIRE_FALSE(parsed.ok());
        CHECK(parsed.error().code == ErrorCode::invalid_field);
        CHECK(parsed.error().pointer == "/text");
        CHECK(parsed.error().detail == row.expected);
    }
}

TEST_CASE("Policy: as many rules and groups as the limits say, and no more") {
    std::string rules;
    std::string groups;
    for (std::size_t i = 0; i < limits::policy_rules_max; ++i)
        rules += fmt::format("deny r{} because \"r\"\n", i);
    for (std::size_t i = 0; i < limits::policy_groups_max; ++i)
        groups += fmt::format("group g{} = DE\n", i);
    CHECK(rules_of(rules).size() == limits::policy_rules_max);
    CHECK(rules_of(groups).empty());
    CHECK(rules_of("").empty());
    CHECK_FALSE(parse_policy(rules + "deny one-more because \"r\"").ok());
    CHECK_FALSE(parse_policy(groups + "group one-more = DE").ok());
}

TEST_CASE("Policy: lines, comments and spaces") {
    const PolicyRules rules = rules_of(
        "group eu = DE, FR # comment\r\n"
        "\n"
        "deny one when renter not in (@eu, US)\n"
        "\tand host != DE and tpp>=100 and density<5.92 # \"more\"\n"
        "    because \"a # in quotes stays\"\n"
        "needs-approval two because \"always\"\n");
    REQUIRE(rules.size() == 2);
    CHECK(rules[0].reason == "a # in quotes stays");
    CHECK(rules[0].tpp_min == 100);
    CHECK(rules[0].density_milli_below == 5920);
    CHECK_FALSE(rules[0].renter[0].holds("FR"));
    CHECK(rules[0].renter[0].holds("CN"));
    CHECK(rules[1].effect == PolicyEffect::needs_approval);
}

TEST_CASE("Policy: each condition, by itself") {
    struct Case {
        const char* condition;
        PolicyCase holds;
        PolicyCase fails;
    };
    const auto card = [](std::string_view model) { return facts(model, "DE", "FR", "US"); };
    const PolicyCase h100 = card("h100-sxm");
    const PolicyCase stranger = card("no-such-card");
    const auto with_use = [&](std::optional<EndUse> use) {
        return facts("h100-sxm", "DE", "FR", "US", use);
    };
    for (const Case& row : std::vector<Case>{
             {"host = DE", h100, facts("h100-sxm", "FR", "DE", "DE")},
             {"owner = FR", h100, facts("h100-sxm", "FR", "DE", "FR")},
             {"renter = US", h100, facts("h100-sxm", "US", "US", "DE")},
             {"renter != DE", h100, facts("h100-sxm", "US", "US", "DE")},
             {"renter not in (DE, FR)", h100, facts("h100-sxm", "US", "US", "FR")},
             {"renter in (US, CA) and renter != CA", h100, facts("h100-sxm", "US", "US", "CA")},
             {"model in (h100-sxm, h200-sxm)", h100, card("a30")},
             {"model = h100-sxm", h100, stranger},
             {"segment = datacenter", h100, card("rtx-4090")},
             {"segment = datacenter", h100, stranger},
             {"device in (cpu, gpu)", h100,
              facts("h100-sxm", "DE", "FR", "US", std::nullopt, DeviceClass::accelerator)},
             {"catalog = known", h100, stranger},
             {"catalog = unknown", stranger, h100},
             {"tpp >= 4800", card("rtx-4090"), card("rtx-4090d")},
             {"tpp < 4800", card("rtx-4090d"), card("rtx-4090")},
             {"tpp >= 1", h100, stranger},
             {"density >= 5.92", card("a100-sxm-80gb"), card("a40")},
             {"density < 5.92", card("a40"), card("a100-sxm-80gb")},
             {"density < 999", h100, card("mi300x")},  // no die area is known
             {"end_use = ai_training", with_use(EndUse::ai_training), with_use(EndUse::research)},
             {"end_use in (military, other)", with_use(EndUse::other), with_use(std::nullopt)},
             {"end_use = unstated", with_use(std::nullopt), with_use(EndUse::other)}}) {
        INFO(row.condition);
        const PolicyRules rules = rules_of(fmt::format("deny it when {} because \"r\"", row.condition));
        CHECK(name_of_rule(deciding_rule(rules, row.holds)) == "it");
        CHECK(name_of_rule(deciding_rule(rules, row.fails)) == "-");
    }
}

TEST_CASE("Policy: what the built-in rules say") {
    struct Case {
        PolicyCase facts;
        const char* rule;
    };
    using enum EndUse;
    for (const Case& row : std::vector<Case>{
             {facts("h100-sxm", "DE", "DE", "US"), "-"},
             {facts("rtx-3060-12gb", "DE", "DE", "CN", ai_training), "-"},
             {facts("rtx-4090", "DE", "DE", "IR"), "us-embargo-renter"},
             {facts("rtx-3060-12gb", "DE", "KP", "DE"), "us-embargo-seller"},
             {facts("rtx-3060-12gb", "CU", "DE", "DE"), "us-embargo-host"},
             {facts("rtx-3060-12gb", "FR", "US", "RU"), "eu-russia-host"},
             {facts("rtx-3060-12gb", "US", "FR", "RU"), "eu-russia-owner"},
             {facts("rtx-3060-12gb", "US", "US", "RU"), "-"},
             {facts("rtx-3060-12gb", "US", "US", "CN", military), "us-military-end-use"},
             {facts("h100-sxm", "DE", "DE", "CN"), "us-3a090a-renter"},
             {facts("rtx-4090", "SG", "SG", "MO"), "us-3a090a-renter"},
             {facts("rtx-4090d", "CN", "CN", "CN"), "-"},  // no data centre part, TPP below 4800
             {facts("a100-pcie-80gb", "AE", "AE", "AE"), "us-3a090a-host"},
             {facts("a40", "SG", "SG", "CN"), "-"},
             {facts("a40", "SG", "SG", "CN", ai_training), "us-3a090b-dense-training"},
             {facts("l40", "SG", "SG", "CN", ai_training), "us-3a090b-training"},
             {facts("l4", "SG", "SG", "CN"), "us-3a090a-dense-renter"},
             {facts("l4", "VN", "VN", "VN"), "us-3a090a-dense-host"},
             {facts("mi210", "SG", "SG", "CN", ai_training), "us-3a090b-training"},
             {facts("l20", "SG", "SG", "CN", ai_training), "-"},  // made to lie below 3A090.b
             {facts("h20", "SG", "SG", "CN", ai_training), "-"},  // a letter to its maker, no rule
             {facts("mi300x", "SG", "SG", "CN"), "us-3a090a-renter"},
             {facts("h100-sxm", "SG", "SG", "HK"), "us-3a090a-renter"},
             {facts("h100-sxm", "CY", "CY", "CY"), "-"},
             {facts("h100-sxm", "ET", "ET", "ET"), "us-3a090a-renter"},
             {facts("no-such-card", "SG", "SG", "CN"), "unknown-gpu-renter"},
             {facts("no-such-card", "SG", "SG", "CN", std::nullopt, DeviceClass::cpu), "-"},
             {facts("no-such-card", "SG", "SG", "SG"), "-"}}) {
        INFO(row.facts.renter_country << ' ' << row.rule);
        CHECK(name_of_rule(deciding_rule(default_policy(), row.facts)) == row.rule);
    }
    for (const PolicyRule& rule : default_policy()) {
        const bool names_its_source = rule.reason.find('(') != std::string::npos;
        CHECK((names_its_source || rule.name == "unknown-gpu-renter"));
    }
}

TEST_CASE("Policy: the first rule that fits decides, over 20,000 generated cases") {
    std::mt19937_64 random(14);
    const auto below = [&](std::size_t n) { return random() % n; };
    const std::vector<std::string> countries{"DE", "FR", "US", "CN", "SG"};
    const std::vector<std::string> conditions{"renter in (DE, US)", "host != CN",      "owner = SG",
                                              "tpp >= 2000",        "tpp < 5000",      "density < 8",
                                              "segment = consumer", "catalog = known", "end_use = unstated",
                                              "model = rtx-4090"};
    const std::vector<std::string> models{"rtx-4090", "a40", "mi300x", "h100-sxm", "none"};
    for (int round = 0; round < 200; ++round) {
        std::vector<std::string> lines;
        std::string text;
        for (std::size_t i = 0, count = 1 + below(6); i < count; ++i) {
            std::string line = fmt::format("{} r{} when {}", below(2) == 0 ? "deny" : "allow", i,
                                           conditions[below(conditions.size())]);
            if (below(2) == 0) line += " and " + conditions[below(conditions.size())];
            // A bound may not be given twice in one rule.
            if (!parse_policy(line + " because \"r\"").ok()) line = fmt::format("deny r{}", i);
            lines.push_back(line + " because \"r\"\n");
            text += lines.back();
        }
        const PolicyRules rules = rules_of(text);
        REQUIRE(rules.size() == lines.size());
        for (int i = 0; i < 100; ++i) {
            const auto country = [&] { return std::string_view(countries[below(countries.size())]); };
            const PolicyCase one = facts(models[below(models.size())], country(), country(), country(),
                                         below(2) == 0 ? std::nullopt : std::optional(EndUse::research));
            // The model: each rule on its own, from the top.
            std::string expected = "-";
            for (const std::string& line : lines) {
                const PolicyRules alone = rules_of(line);
                if (deciding_rule(alone, one) == nullptr) continue;
                expected = alone[0].name;
                break;
            }
            const PolicyRule* found = deciding_rule(rules, one);
            if (name_of_rule(found) != expected) FAIL(text << "decides " << name_of_rule(found));
            if (deciding_rule(rules, one) != found) FAIL("the same case is decided twice, differently");
        }
    }
}

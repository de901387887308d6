// The jurisdiction policy: who may rent which card from where. A policy is a text of rules, read top down;
// the first rule that fits a case decides it, and a case that none fits is allowed. Evaluated inside the
// decision that would lease the card. The grammar is in schema/policy/README.md; the built-in policy is
// schema/policy/default.policy. Pure.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "market/card.hpp"
#include "market/catalog.hpp"

namespace fallow::market {

FALLOW_ENUM(PolicyEffect, allow, deny, needs_approval)
/// What a renter says the cards are for.
FALLOW_ENUM(EndUse, ai_training, ai_inference, rendering, simulation, research, military, other)

/// Countries by their ISO 3166-1 alpha-2 codes.
class CountrySet {
  public:
    /// `country` is a code.
    void insert(std::string_view country) { bits_.set(place_of(country)); }
    void insert(const CountrySet& others) { bits_ |= others.bits_; }
    [[nodiscard]] bool contains(std::string_view country) const {
        return is_code(country) && bits_.test(place_of(country));
    }
    [[nodiscard]] static bool is_code(std::string_view text) {
        const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
        return text.size() == 2 && is_letter(text[0]) && is_letter(text[1]);
    }

  private:
    static constexpr std::size_t letters = 26;
    static std::size_t place_of(std::string_view country) {
        return static_cast<std::size_t>(country[0] - 'A') * letters +
               static_cast<std::size_t>(country[1] - 'A');
    }
    std::bitset<letters * letters> bits_;
};

/// One condition on a country: in these, or in none of these.
struct CountryTest {
    bool is_inside = true;
    CountrySet countries;

    [[nodiscard]] bool holds(std::string_view country) const {
        return countries.contains(country) == is_inside;
    }
};

/// All conditions must hold; an absent one holds. A condition on a figure that the catalog does not have,
/// because the card or its figure is unknown, does not hold.
struct PolicyRule {
    std::string name;
    PolicyEffect effect = PolicyEffect::allow;
    std::string reason;
    std::vector<std::string> models;
    std::vector<Segment> segments;
    std::vector<DeviceClass> devices;
    std::optional<bool> is_known;  ///< to the catalog
    std::optional<std::int64_t> tpp_min;
    std::optional<std::int64_t> tpp_below;
    std::optional<std::int64_t> density_milli_min;
    std::optional<std::int64_t> density_milli_below;
    std::vector<CountryTest> host;
    std::vector<CountryTest> owner;
    std::vector<CountryTest> renter;
    std::vector<std::optional<EndUse>> end_uses;  ///< nothing: none was stated
};
using PolicyRules = std::vector<PolicyRule>;

/// What a rule is held against. Countries are two upper-case letters.
struct PolicyCase {
    const CardModel* model = nullptr;  ///< nullptr: not in the catalog
    DeviceClass device = DeviceClass::gpu;
    std::string_view host_country;
    std::string_view owner_country;
    std::string_view renter_country;
    std::optional<EndUse> end_use;
};

/// invalid_field at "/text", with the line, when the text is no policy: unknown words, values out of
/// bounds, a name twice, more than limits::policy_rules_max rules.
[[nodiscard]] Result<PolicyRules> parse_policy(std::string_view text);

/// The first rule that fits; nullptr when none does, which allows.
[[nodiscard]] const PolicyRule* deciding_rule(const PolicyRules& rules, const PolicyCase& facts);

/// The policy that holds until the operator sets one, as text and as rules.
[[nodiscard]] std::string_view default_policy_text();
[[nodiscard]] const PolicyRules& default_policy();

/// A version that the operator has set. The newest one holds; the built-in policy is version 0.
struct Policy {
    static constexpr std::string_view table = "policies";
    std::int64_t version = 1;
    std::string text;
    std::string created_by;
    Time created_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("version", row.version);
        visit.field("text", row.text);
        visit.field("created_by", row.created_by);
        visit.field("created_at", row.created_at);
    }
};

/// The operator's word that an organization may have a model where a rule needs an approval.
struct PolicyApproval {
    static constexpr std::string_view table = "policy_approvals";
    ApprovalId id;
    OrganizationId organization;
    std::string model;
    std::string note;
    std::string created_by;
    Time created_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("model", row.model);
        visit.field("note", row.note);
        visit.field("created_by", row.created_by);
        visit.field("created_at", row.created_at);
    }
};

struct PolicyInForce {
    std::int64_t version = 0;
    const PolicyRules* rules = nullptr;
};

}  // namespace fallow::market

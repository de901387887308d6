#include "market/jurisdiction.hpp"

#include <algorithm>

namespace fallow::market {
namespace {

template <class Value>
bool is_among(const std::vector<Value>& values, const Value& value) {
    return values.empty() || std::find(values.begin(), values.end(), value) != values.end();
}

bool holds(const std::vector<CountryTest>& tests, std::string_view country) {
    return std::all_of(tests.begin(), tests.end(),
                       [&](const CountryTest& test) { return test.holds(country); });
}

bool is_within(std::optional<std::int64_t> value, std::optional<std::int64_t> min,
               std::optional<std::int64_t> below) {
    if (!min && !below) return true;
    return value && (!min || *value >= *min) && (!below || *value < *below);
}

bool fits_card(const PolicyRule& rule, const PolicyCase& facts) {
    const CardModel* model = facts.model;
    if (rule.is_known && *rule.is_known != (model != nullptr)) return false;
    if (!is_among(rule.devices, facts.device)) return false;
    if (model == nullptr)
        return rule.models.empty() && rule.segments.empty() && !rule.tpp_min && !rule.tpp_below &&
               !rule.density_milli_min && !rule.density_milli_below;
    return (rule.models.empty() ||
            std::find(rule.models.begin(), rule.models.end(), model->model) != rule.models.end()) &&
           is_among(rule.segments, model->segment) && is_within(model->tpp, rule.tpp_min, rule.tpp_below) &&
           is_within(model->density_milli(), rule.density_milli_min, rule.density_milli_below);
}

bool fits(const PolicyRule& rule, const PolicyCase& facts) {
    return is_among(rule.end_uses, facts.end_use) && holds(rule.renter, facts.renter_country) &&
           holds(rule.host, facts.host_country) && holds(rule.owner, facts.owner_country) &&
           fits_card(rule, facts);
}

}  // namespace

const PolicyRule* deciding_rule(const PolicyRules& rules, const PolicyCase& facts) {
    const auto found =
        std::find_if(rules.begin(), rules.end(), [&](const PolicyRule& rule) { return fits(rule, facts); });
    return found == rules.end() ? nullptr : &*found;
}

const PolicyRules& default_policy() {
    static const PolicyRules rules = [] {
        auto parsed = parse_policy(default_policy_text());
        FALLOW_ASSERT(parsed.ok());
        return *std::move(parsed);
    }();
    return rules;
}

}  // namespace fallow::market

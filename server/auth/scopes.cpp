#include "auth/scopes.hpp"

#include <fmt/format.h>

#include <array>

namespace fallow::auth {
namespace {

struct Entry {
    Scope scope;
    std::string_view name;
};

constexpr auto table = std::to_array<Entry>({
    {Scope::seller_read, "seller:read"},
    {Scope::seller_write, "seller:write"},
    {Scope::renter_read, "renter:read"},
    {Scope::renter_write, "renter:write"},
    {Scope::admin, "admin"},
});

std::string known_names() {
    std::string text;
    for (const Entry& entry : table) {
        if (!text.empty()) text += ", ";
        text += entry.name;
    }
    return text;
}

}  // namespace

std::string_view name_of(Scope scope) {
    for (const Entry& entry : table)
        if (entry.scope == scope) return entry.name;
    FALLOW_ASSERT(false);
    return {};
}

std::optional<Scope> parse_scope(std::string_view name) {
    for (const Entry& entry : table)
        if (entry.name == name) return entry.scope;
    return std::nullopt;
}

ScopeSet ScopeSet::all() {
    ScopeSet set;
    for (const Entry& entry : table)
        set.insert(entry.scope);
    return set;
}

std::optional<ScopeSet> ScopeSet::from_bits(std::uint32_t bits) {
    if ((bits & ~all().bits()) != 0) return std::nullopt;
    ScopeSet set;
    set.bits_ = bits;
    return set;
}

std::vector<std::string> ScopeSet::names() const {
    std::vector<std::string> found;
    for (const Entry& entry : table)
        if (has(entry.scope)) found.emplace_back(entry.name);
    return found;
}

std::string ScopeSet::text() const {
    std::string joined;
    for (const std::string& name : names()) {
        if (!joined.empty()) joined += ' ';
        joined += name;
    }
    return joined;
}

Result<ScopeSet> parse_scopes(const std::vector<std::string>& names, std::string_view pointer) {
    if (names.empty())
        return refuse(ErrorCode::invalid_field, "Name at least one scope of " + known_names() + ".",
                      std::string(pointer));
    ScopeSet set;
    for (std::size_t i = 0; i < names.size(); ++i) {
        const auto scope = parse_scope(names[i]);
        if (!scope)
            return refuse(ErrorCode::invalid_field, "The scope must be one of " + known_names() + ".",
                          fmt::format("{}/{}", pointer, i));
        if (set.has(*scope))
            return refuse(ErrorCode::invalid_field, "The scope is named twice; name it once.",
                          fmt::format("{}/{}", pointer, i));
        set.insert(*scope);
    }
    return set;
}

}  // namespace fallow::auth

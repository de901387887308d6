#include "accounts/keys.hpp"

#include <algorithm>

#include "accounts/text.hpp"

namespace fallow::accounts {

namespace {

Error bad_field(std::string detail, std::string_view pointer) {
    return refuse(ErrorCode::invalid_field, std::move(detail), std::string(pointer));
}

bool is_upper_letter(char c) {
    return c >= 'A' && c <= 'Z';
}

}  // namespace

Status check_name(std::string_view name, std::string_view pointer) {
    if (name.empty()) return bad_field("A name has at least one character.", pointer);
    if (name.size() > limits::name_bytes_max) {
        return bad_field("A name has at most " + std::to_string(limits::name_bytes_max) + " bytes.",
                         pointer);
    }
    if (name.front() == ' ' || name.back() == ' ') {
        return bad_field("A name neither begins nor ends with a space.", pointer);
    }
    if (!is_plain_text(name)) return bad_field("A name is UTF-8 text without control characters.", pointer);
    return Done{};
}

Status check_country(std::string_view country, std::string_view pointer) {
    const bool good = country.size() == 2 && std::all_of(country.begin(), country.end(), is_upper_letter);
    if (!good) {
        return bad_field("A country is two upper-case letters of ISO 3166-1 alpha-2, such as \"DE\".",
                         pointer);
    }
    return Done{};
}

Status check_scopes(const std::vector<std::string>& wanted, const std::vector<std::string>& own) {
    if (wanted.empty()) return bad_field("A key needs at least one scope.", "/scopes");
    for (std::size_t i = 0; i < wanted.size(); ++i) {
        if (std::find(own.begin(), own.end(), wanted[i]) != own.end()) continue;
        return refuse(
            ErrorCode::scope_missing,
            "The key that asks does not have the scope \"" + wanted[i] + "\" and cannot pass it on.",
            "/scopes/" + std::to_string(i));
    }
    return Done{};
}

Result<Time> key_expiry(Time now, std::optional<Millis> expires_in) {
    const Millis life = expires_in.value_or(key_life_default);
    if (life < key_life_min || life > key_life_max) {
        return bad_field("A key lives from " + std::to_string(key_life_min.count) + " to " +
                             std::to_string(key_life_max.count) + " ms.",
                         "/expires_in_ms");
    }
    return now + life;
}

Status check_usable(const ApiKey& key, Time now) {
    if (key.revoked_at) {
        return refuse(ErrorCode::key_revoked,
                      "The key was revoked at " + to_rfc3339(*key.revoked_at) + ".");
    }
    if (now >= key.expires_at) {
        return refuse(ErrorCode::key_expired, "The key expired at " + to_rfc3339(key.expires_at) + ".");
    }
    return Done{};
}

Result<Rotation> rotate(const ApiKey& old, KeyId fresh, std::string prefix, Time now) {
    if (const Status usable = check_usable(old, now); !usable) {
        return refuse(ErrorCode::wrong_state, usable.error().detail + " Make a new one instead.");
    }
    // An old key that was rotated once already has a shortened life, perhaps shorter than anyone may ask
    // for.
    const Millis life = std::max(old.expires_at - old.created_at, key_life_min);
    Rotation rotation{old, old};
    rotation.fresh.id = fresh;
    rotation.fresh.prefix = std::move(prefix);
    rotation.fresh.created_at = now;
    rotation.fresh.expires_at = now + life;
    rotation.old.expires_at = std::min(old.expires_at, now + rotation_overlap_max);
    return rotation;
}

}  // namespace fallow::accounts

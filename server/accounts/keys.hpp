// API keys, enrolment tokens and agent certificates: rows, and the rules that need no database. The secrets
// themselves are never here; the store keeps their SHA-256 beside the rows, and no row struct has a field
// for it, so that neither a reply nor the journal can show one.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

inline constexpr Millis key_life_default = days(90);
inline constexpr Millis key_life_min = minutes(1);
inline constexpr Millis key_life_max = days(366);
inline constexpr Millis rotation_overlap_max = days(7);
inline constexpr Millis enrollment_token_life = hours(1);

struct ApiKey {
    static constexpr std::string_view table = "api_keys";
    KeyId id;
    OrganizationId organization;
    std::string name;
    std::string prefix;               ///< the secret's first characters, by which people recognise it
    std::vector<std::string> scopes;  ///< "seller:read" and so on, in auth's order
    Time created_at;
    Time expires_at;
    std::optional<Time> revoked_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("name", row.name);
        visit.field("prefix", row.prefix);
        visit.field("scopes", row.scopes);
        visit.field("created_at", row.created_at);
        visit.field("expires_at", row.expires_at);
        visit.field("revoked_at", row.revoked_at);
    }
    friend bool operator==(const ApiKey&, const ApiKey&) = default;
};

/// Good for one host, for an hour. The first enrolment binds it to a host id and a signing key; a repeat
/// with that same signing key (the reply was lost) gets the same host id until the token expires, anyone
/// else is refused.
struct EnrollmentToken {
    static constexpr std::string_view table = "enrollment_tokens";
    TokenId id;
    OrganizationId organization;
    std::string name;     ///< the host's
    std::string country;  ///< the host's, ISO 3166-1 alpha-2
    Time created_at;
    Time expires_at;
    std::optional<HostId> host;  ///< set with used_at
    std::optional<Time> used_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("host_name", row.name);
        visit.field("country", row.country);
        visit.field("created_at", row.created_at);
        visit.field("expires_at", row.expires_at);
        visit.field("host_id", row.host);
        visit.field("used_at", row.used_at);
    }
    friend bool operator==(const EnrollmentToken&, const EnrollmentToken&) = default;
};

struct AgentCertificate {
    static constexpr std::string_view table = "agent_certificates";
    std::string serial_hex;  ///< lower case, as http::PeerCertificate has it
    OrganizationId organization;
    HostId host;
    Time issued_at;
    Time expires_at;
    std::optional<Time> revoked_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("serial_hex", row.serial_hex);
        visit.field("organization_id", row.organization);
        visit.field("host_id", row.host);
        visit.field("issued_at", row.issued_at);
        visit.field("expires_at", row.expires_at);
        visit.field("revoked_at", row.revoked_at);
    }
    friend bool operator==(const AgentCertificate&, const AgentCertificate&) = default;
};

/// A name of a key, a host or an artifact: 1 to name_bytes_max bytes of printable ASCII or valid UTF-8
/// without control characters, with no space at either end. invalid_field at `pointer`.
[[nodiscard]] Status check_name(std::string_view name, std::string_view pointer = "/name");

/// Two upper-case letters.
[[nodiscard]] Status check_country(std::string_view country, std::string_view pointer = "/country");

/// `wanted` must be non-empty and a subset of `own`; scope_missing names the first scope that is not.
[[nodiscard]] Status check_scopes(const std::vector<std::string>& wanted,
                                  const std::vector<std::string>& own);

/// When a key made now ends. invalid_field at "/expires_in_ms" outside key_life_min..key_life_max.
[[nodiscard]] Result<Time> key_expiry(Time now, std::optional<Millis> expires_in);

/// key_revoked or key_expired, or Done while the key may be used.
[[nodiscard]] Status check_usable(const ApiKey& key, Time now);

struct Rotation {
    ApiKey fresh;
    ApiKey old;  ///< lives on until its own end or rotation_overlap_max from now, whichever is first
};

/// The fresh key has the old one's name, scopes and length of life. wrong_state when the old one has ended.
[[nodiscard]] Result<Rotation> rotate(const ApiKey& old, KeyId fresh, std::string prefix, Time now);

}  // namespace fallow::accounts

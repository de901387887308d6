// Secrets of organizations: texts that a job is given as files, and that no route tells again. What is here
// is only what may be told of one; the value is sealed by auth/vault, and read for the host of a job that
// names it.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/result.hpp"
#include "base/time.hpp"

namespace fallow::accounts {

struct SecretIdTag {
    static constexpr std::string_view prefix = "secret";
};
using SecretId = Id<SecretIdTag>;

struct Secret {
    static constexpr std::string_view table = "secrets";
    SecretId id;
    OrganizationId organization;
    std::string name;  ///< once in its organization; the file's name in a job
    std::int64_t version = 1;
    Time created_at;
    Time updated_at;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("name", row.name);
        visit.field("version", row.version);
        visit.field("created_at", row.created_at);
        visit.field("updated_at", row.updated_at);
    }
    friend bool operator==(const Secret&, const Secret&) = default;
};

/// A value as it is kept: sealed under a key of its own, that one under the servers' key of this id.
struct SealedSecret {
    std::string key_id;
    std::string wrapped_key;  ///< raw octets
    std::string sealed;       ///< raw octets
};

/// A file's name: letters, digits, `_`, `-` and `.`, beginning with a letter, a digit or `_`.
/// invalid_field.
[[nodiscard]] Status check_secret_name(std::string_view name, std::string_view pointer = "/name");

/// What a sealed value is bound to: moved to another row, or back to an older version, it does not open.
[[nodiscard]] std::string binding_of(const Secret& secret);

}  // namespace fallow::accounts

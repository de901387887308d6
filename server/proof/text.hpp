// Ids, numbers and the texts that were signed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model.hpp"

namespace fallow_proof {

/// "lease_…" of a uuid: the prefix and 26 digits of Crockford's base 32, most significant first.
[[nodiscard]] std::string id_text(std::string_view prefix, std::string_view uuid);

[[nodiscard]] std::string decimal(Wide value);

/// Lines "name: value" after the first; a name that repeats keeps all its values.
struct SignedText {
    std::string head;
    std::map<std::string, std::vector<std::string>> fields;

    /// The one value of `name`, or "(missing)".
    [[nodiscard]] std::string one(const std::string& name) const;
};

/// Nothing when a line has another form or the last one does not end.
[[nodiscard]] std::optional<SignedText> parse_signed(std::string_view text);

/// A number without sign, spaces or leading zeros.
[[nodiscard]] std::optional<std::int64_t> parse_count(std::string_view text);

}  // namespace fallow_proof

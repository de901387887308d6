// Escaping for the parts of a URL that are put together here.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fallow::sdk {

/// All bytes but the unreserved ones of RFC 3986 as %XX.
[[nodiscard]] std::string percent_encode(std::string_view text);

/// "?a=1&b=x%20y", or nothing when there are no pairs. Pairs with an empty value are left out.
[[nodiscard]] std::string query_string(const std::vector<std::pair<std::string, std::string>>& pairs);

}  // namespace fallow::sdk

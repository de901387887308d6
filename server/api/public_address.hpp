// Which address a host has on the internet, as far as the one that it is seen from tells.
#pragma once

#include <string>
#include <string_view>

namespace fallow::api {

/// The address if it is one of the public internet (IANA's special-purpose registries, RFC 6890), else an
/// empty text. Of an IPv6 address the network's 64 bits, like "2a01:4f8:1:2::/64": the rest is the host's
/// to choose, and many choose anew each day.
[[nodiscard]] std::string public_address(std::string_view seen);

}  // namespace fallow::api

// The wire form of the types in types.hpp, as text, so that the JSON library stays out of every header.
#pragma once

#include <string>
#include <string_view>

#include "fallow/paging.hpp"

namespace fallow::sdk {

// Defined for the types of types.hpp only; another type does not link.

/// Throws ProtocolError, naming the field, when the text is not that object. Unknown fields are ignored.
template <class T>
[[nodiscard]] T from_json(std::string_view text);

/// {"items":[…],"next_cursor":…}
template <class T>
[[nodiscard]] Page<T> page_from_json(std::string_view text);

/// Fields in the order of the contract, absent values as null.
template <class T>
[[nodiscard]] std::string to_json(const T& value);

/// For a request: absent values and empty lists are left out, an optional list that is there is not.
template <class T>
[[nodiscard]] std::string to_request_json(const T& value);

/// {"fee_ppm":…} apart, the requests without a type have an empty object for a body.
inline constexpr std::string_view empty_object = "{}";
/// What breaks a commitment, and is told so.
inline constexpr std::string_view breach_object = R"({"breach":true})";

}  // namespace fallow::sdk

// Checks of text that comes from outside.
#pragma once

#include <string_view>

namespace fallow::accounts {

/// Well-formed UTF-8 (RFC 3629: no overlong form, no surrogate, nothing above U+10FFFF) without control
/// characters of C0, C1 or DEL.
[[nodiscard]] bool is_plain_text(std::string_view text);

}  // namespace fallow::accounts

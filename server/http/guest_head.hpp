// Heads of requests and replies on their way between a renter's browser and a program in its job, as pure
// functions: what belongs to one connection alone is left out, and what would reach beyond the name that
// the program is served under.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::http {

/// Signs a browser in at an app's name. No guest sees it, and none can set it.
inline constexpr std::string_view app_cookie = "__Host-fallow_app";

/// A GET without a body that wants the connection to become a WebSocket.
[[nodiscard]] bool asks_for_websocket(const Request& request);

/// The headers that may go on: none of the connection's, none that tells who asks and how.
/// X-Forwarded-Proto and X-Forwarded-Host are written anew.
[[nodiscard]] Fields passed_request_headers(const Request& request);

/// A whole head for the guest, with the framing that the request itself has.
[[nodiscard]] std::string guest_request_head(const Request& request, const Fields& headers,
                                             bool is_websocket);

/// What a guest's reply may say, with names in lower case: no header of the connection, none that browsers
/// heed beyond this name (Alt-Svc, Clear-Site-Data, Strict-Transport-Security), no cookie for other names
/// than its own. bad_request when one is no header.
[[nodiscard]] Result<Fields> passed_reply_headers(const Fields& headers);

/// How the body of a reply is told from what follows it.
struct RelayFraming {
    std::optional<std::uint64_t> length = {};  ///< with a body or, as a mere statement, without one
    bool is_chunked = false;
    bool is_websocket = false;
    bool keeps_alive = true;
};
[[nodiscard]] std::string relayed_reply_head(int status, const Fields& headers,
                                             const RelayFraming& framing);

}  // namespace fallow::http

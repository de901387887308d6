// Writes a reply's head. Pure but for the Date, which is read from the clock once a second.
#pragma once

#include <string>
#include <string_view>

#include "http/message.hpp"

namespace fallow::http {

/// What the connection adds to a reply.
struct ReplyFrame {
    std::string_view request_id;
    bool keeps_alive = true;
    bool is_chunked = false;
};

/// False when the status is not a final one or a header could break out of its line: the service's mistake.
[[nodiscard]] bool is_sendable(const Reply& reply);

/// The phrase that goes with a status.
[[nodiscard]] std::string_view reason_of(int status);

/// 204 and 304 have neither body nor length.
[[nodiscard]] bool may_have_body(int status);

/// Appends status line, headers and empty line. Content-Length is the size of `reply.body` unless chunked.
/// Headers that belong to the connection (Connection, Content-Length, Date, …) are written here and ignored
/// in `reply`.
void append_head(std::string& out, const Reply& reply, const ReplyFrame& frame);

/// Appends one chunk; `data` is not empty, since an empty chunk ends the body.
void append_chunk(std::string& out, std::string_view data);

inline constexpr std::string_view last_chunk = "0\r\n\r\n";

}  // namespace fallow::http

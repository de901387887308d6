// The lines between the agent and its guard over the socket `guard.sock` of the state folder. One request a
// line, one answer to each in its order; README.md of this folder is their description.
#pragma once

#include <cstddef>
#include <string_view>

namespace fallow::guard {

inline constexpr std::string_view protocol_version = "1";
inline constexpr std::size_t line_bytes_max = 1024;

inline constexpr const char* socket_file = "guard.sock";
inline constexpr const char* lock_file = "guard.lock";  ///< held by the guard; names its process
inline constexpr const char* book_file = "guard.book";
inline constexpr const char* heartbeat_file = "heartbeat";  ///< the agent's: boot id and send time

}  // namespace fallow::guard

// Frames of a tunnel as bytes, written out by hand. The SDK and the server each have code of their own for
// them, because neither may include the other: the tests of both hold theirs to these.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fallow::testing {

/// What asks for a port of a job.
inline constexpr std::string_view open_port_8080 = R"({"kind":"port","port":8080})";

struct WrittenFrame {
    std::string kind;
    std::string payload;
    std::string bytes;
};

/// One of each kind that both know, and the longest.
inline std::vector<WrittenFrame> written_frames() {
    const std::string longest(65'536, 'x');
    return {
        {"open", std::string(open_port_8080),
         std::string{'\x01', '\0', '\0', '\0', '\x1b'} + std::string(open_port_8080)},
        {"opened", "", std::string{'\x02', '\0', '\0', '\0', '\0'}},
        {"refused", "no", std::string{'\x03', '\0', '\0', '\0', '\x02', 'n', 'o'}},
        {"input", longest, std::string{'\x04', '\0', '\x01', '\0', '\0'} + longest},
        {"output", std::string(256, 'y'),
         std::string{'\x05', '\0', '\0', '\x01', '\0'} + std::string(256, 'y')},
        {"end", "", std::string{'\x07', '\0', '\0', '\0', '\0'}},
        {"ping", "", std::string{'\x0a', '\0', '\0', '\0', '\0'}},
        {"pong", "", std::string{'\x0b', '\0', '\0', '\0', '\0'}},
    };
}

}  // namespace fallow::testing

// The frames of a tunnel, as far as the server speaks through one itself: to a port of a job. What a frame
// is says client-sdk/include/fallow/tunnel.hpp; what others send through a tunnel is carried unread. These
// few lines are the SDK's again, because the server and the SDK know each other by the contract alone; the
// unit tests of both hold them to the same bytes (tests/support/tunnel_frames.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace fallow::http {

inline constexpr std::size_t guest_frame_bytes_max = 65'536;

enum class GuestFrameKind : std::uint8_t {
    open = 1,
    opened = 2,
    refused = 3,
    input = 4,
    output = 5,
    end = 7,
    ping = 10,
    pong = 11,
};

struct GuestFrame {
    GuestFrameKind kind = GuestFrameKind::ping;  ///< others may come, and are passed over
    std::string payload;
};

/// One frame, or several where the bytes are too many for one.
void append_guest_frames(std::string& out, GuestFrameKind kind, std::string_view bytes);

/// Takes frames out of bytes that come in any pieces.
class GuestFrameReader {
  public:
    void push(std::string_view bytes) { bytes_ += bytes; }
    /// The next whole frame, none once the bytes are no frames.
    [[nodiscard]] std::optional<GuestFrame> next();
    [[nodiscard]] bool is_broken() const { return is_broken_; }
    [[nodiscard]] bool is_empty() const { return bytes_.empty(); }

  private:
    std::string bytes_;
    bool is_broken_ = false;
};

}  // namespace fallow::http

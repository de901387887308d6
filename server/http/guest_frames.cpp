#include "http/guest_frames.hpp"

namespace fallow::http {
namespace {

constexpr std::size_t head_bytes = 5;

std::size_t length_in(std::string_view head) {
    std::size_t length = 0;
    for (const char byte : head.substr(1, 4))
        length = length * 256 + static_cast<unsigned char>(byte);
    return length;
}

void append_frame(std::string& out, GuestFrameKind kind, std::string_view payload) {
    out += static_cast<char>(kind);
    for (int shift = 24; shift >= 0; shift -= 8)
        out += static_cast<char>((payload.size() >> shift) & 0xff);
    out += payload;
}

}  // namespace

void append_guest_frames(std::string& out, GuestFrameKind kind, std::string_view bytes) {
    do {
        const std::string_view piece = bytes.substr(0, guest_frame_bytes_max);
        append_frame(out, kind, piece);
        bytes.remove_prefix(piece.size());
    } while (!bytes.empty());
}

std::optional<GuestFrame> GuestFrameReader::next() {
    if (is_broken_ || bytes_.size() < head_bytes) return std::nullopt;
    const std::size_t length = length_in(bytes_);
    is_broken_ = length > guest_frame_bytes_max;
    if (is_broken_ || bytes_.size() < head_bytes + length) return std::nullopt;
    GuestFrame frame{static_cast<GuestFrameKind>(bytes_.front()), bytes_.substr(head_bytes, length)};
    bytes_.erase(0, head_bytes + length);
    return frame;
}

}  // namespace fallow::http

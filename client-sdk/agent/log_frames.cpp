#include "agent/log_frames.hpp"

#include <algorithm>
#include <stdexcept>

namespace fallow::agent {
namespace {

constexpr std::size_t header_bytes = 8;

std::uint32_t length_of(const std::string& header) {
    std::uint32_t value = 0;
    for (std::size_t i = 4; i < header_bytes; ++i)
        value = (value << 8) | static_cast<unsigned char>(header[i]);
    return value;
}

}  // namespace

bool LogDemuxer::feed(std::string_view octets) {
    while (!octets.empty()) {
        if (payload_left_ == 0) {
            const std::size_t n = std::min(header_bytes - header_.size(), octets.size());
            header_.append(octets.substr(0, n));
            octets.remove_prefix(n);
            if (header_.size() < header_bytes) return true;
            const char kind = header_[0];
            if (kind < 0 || kind > 2)
                throw std::runtime_error("the engine's log stream has an unknown frame");
            stream_ = kind == 2 ? LogStream::standard_error : LogStream::standard_output;
            payload_left_ = length_of(header_);
            header_.clear();
            continue;
        }
        const std::size_t n = std::min<std::size_t>(payload_left_, octets.size());
        payload_left_ -= static_cast<std::uint32_t>(n);
        if (!on_data_(stream_, octets.substr(0, n))) return false;
        octets.remove_prefix(n);
    }
    return true;
}

}  // namespace fallow::agent

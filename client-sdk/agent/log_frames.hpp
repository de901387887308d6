// Takes apart the engines' multiplexed log stream: frames of an 8-octet header (stream, three zeros, length
// as 32 bits big-endian) and a payload, cut anywhere by the transport.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace fallow::agent {

enum class LogStream { standard_output, standard_error };

class LogDemuxer {
  public:
    /// Called with pieces of payload in order; a long frame comes in several pieces. False stops.
    using OnData = std::function<bool(LogStream, std::string_view)>;

    explicit LogDemuxer(OnData on_data) : on_data_(std::move(on_data)) {}

    /// False when on_data stopped it. Throws std::runtime_error when this is not such a stream.
    [[nodiscard]] bool feed(std::string_view octets);

  private:
    OnData on_data_;
    std::string header_;
    std::uint32_t payload_left_ = 0;
    LogStream stream_ = LogStream::standard_output;
};

}  // namespace fallow::agent

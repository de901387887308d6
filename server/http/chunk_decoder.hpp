// Decodes a chunked body (RFC 9112, 7.1) as it arrives, without I/O. Stricter than the RFC asks: extensions
// and trailers, which nobody here needs and which smuggling lives on, are refused.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace fallow::http {

class ChunkDecoder {
  public:
    explicit ChunkDecoder(std::size_t body_bytes_max) : body_bytes_max_(body_bytes_max) {}

    /// Appends what `bytes` holds of the body and returns how many of them belonged to it; fewer than all
    /// only when the body is complete. bad_request, or body_too_large before the chunk that would pass the
    /// limit is stored.
    [[nodiscard]] Result<std::size_t> feed(std::string_view bytes, std::string& body);
    [[nodiscard]] bool is_complete() const { return state_ == State::complete; }

  private:
    enum class State { size, size_end, data, data_return, data_end, last_return, last_end, complete };

    [[nodiscard]] Status step(char c, const std::string& body);
    [[nodiscard]] Status take_size(char c, const std::string& body);

    std::size_t body_bytes_max_;
    State state_ = State::size;
    std::size_t chunk_bytes_left_ = 0;
    int digits_ = 0;
};

}  // namespace fallow::http

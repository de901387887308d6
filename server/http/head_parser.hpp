// The strict reading of a request's head, as pure functions over bytes. It refuses whatever two HTTP
// implementations have been seen to read differently, because that is what request smuggling is made of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::http {

struct HeadLimits {
    std::size_t header_bytes_max = 0;  ///< the whole head, request line and empty line included
    std::size_t header_count_max = 0;
    std::size_t target_bytes_max = 0;
};

struct RequestHead {
    Method method = Method::get;
    std::string target;
    std::string path;
    Fields query;
    Fields headers;                               ///< names in lower case, values trimmed
    std::optional<std::uint64_t> content_length;  ///< none when chunked or when the request names no length
    bool is_chunked = false;
    bool expects_continue = false;
    bool keeps_alive = true;
};

/// Looks for the empty line that ends a head, over any number of reads.
class HeadScanner {
  public:
    explicit HeadScanner(HeadLimits limits) : limits_(limits) {}

    /// `bytes` is everything received of this request so far. Returns the size of the head with its empty
    /// line, or 0 while it is incomplete. bad_request for a line end that is not CRLF, target_too_long,
    /// header_too_large.
    [[nodiscard]] Result<std::size_t> scan(std::string_view bytes);

  private:
    HeadLimits limits_;
    std::size_t line_start_ = 0;
    std::size_t searched_ = 0;
};

/// `head` ends in its empty line. Errors: bad_request, target_too_long, header_too_large, not_supported (a
/// method or transfer coding), http_version, expectation_failed, body_too_large (a length beyond 64 bits).
[[nodiscard]] Result<RequestHead> parse_head(std::string_view head, const HeadLimits& limits);

}  // namespace fallow::http

// What the HTTP layer asks of the application: it is given one Service and knows nothing else of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/result.hpp"
#include "http/message.hpp"

namespace fallow::http {

/// How much body a request may bring, decided from its head before a byte of the body is read.
struct BodyLimit {
    std::size_t bytes_max = 0;
    /// The body is read to its end and not kept; a request must say its length.
    bool is_dropped = false;
    std::int64_t body_ms_max = 0;            ///< for the whole body; 0: the least rate alone bounds it
    std::shared_ptr<const void> place = {};  ///< kept until the exchange is over
    /// The body stays on the connection, for the guest's link that the reply may grant; see guest_link.hpp.
    bool is_relayed = false;
};

class Service {
  public:
    virtual ~Service() = default;

    /// Called when the head is complete and valid HTTP; an Error becomes the reply and the body is not
    /// read.
    [[nodiscard]] virtual Result<BodyLimit> on_head(const Request& head) = 0;

    /// Called with the whole request. `respond` must be called exactly once, from any thread, at any later
    /// time.
    virtual void handle(Request request, std::function<void(Reply)> respond) = 0;
};

}  // namespace fallow::http

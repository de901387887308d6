// A connection taken out of HTTP: an Upgrade that the server has granted, over TLS or a unix socket. From
// then on it is bytes both ways, without blocking. Writing to one whose peer has gone raises SIGPIPE: the
// program has to ignore that signal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "fallow/http_client.hpp"

namespace fallow::sdk {

class Channel {
  public:
    /// Connects, with TLS where the URL says so. Throws TransportError.
    explicit Channel(const HttpClientOptions& options);
    ~Channel();
    Channel(Channel&&) noexcept;
    Channel& operator=(Channel&&) noexcept;
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    /// To wait on with poll. With TLS, read until nothing is there before waiting.
    [[nodiscard]] int descriptor() const;
    /// Bytes read; 0 when the peer has ended; nothing when none are there now.
    [[nodiscard]] std::optional<std::size_t> read(char* buffer, std::size_t capacity);
    /// Bytes taken, perhaps 0. Throws TransportError when the peer has gone.
    [[nodiscard]] std::size_t write(std::string_view bytes);

  private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

struct Upgraded {
    HttpResponse response;           ///< of a refusal: with its body
    std::optional<Channel> channel;  ///< when it was granted
    std::string received;            ///< what came behind the response's head
};

/// Sends `request` with "Connection: Upgrade" and "Upgrade: protocol". Granted by status 101, or by 200
/// when `is_200_granted`, which is how some container engines say it. Throws TransportError.
[[nodiscard]] Upgraded upgrade(const HttpClientOptions& options, const HttpRequest& request,
                               std::string_view protocol, bool is_200_granted = false);

}  // namespace fallow::sdk

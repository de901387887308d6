// Carries one request from a connection to a program in a job and its reply back, both bodies as they come,
// or a WebSocket until either side ends it. What either side says is read and written anew: nothing that
// the strict parser refuses reaches the guest, and no framing of the guest's reaches the client.
#pragma once

#include <boost/asio/awaitable.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "http/chunk_decoder.hpp"
#include "http/connection.hpp"
#include "http/guest_head.hpp"
#include "http/guest_link.hpp"
#include "http/guest_reply.hpp"

namespace fallow::http {

inline constexpr std::size_t guest_buffer_bytes_max = 64 * 1024;  ///< each way, beside the tunnel's own
inline constexpr std::int64_t guest_ping_ms = 20'000;  ///< what the agent hears when nobody says anything
inline constexpr int guest_interim_replies_max = 8;

/// How the client's body is told from what follows it.
struct RelayedBody {
    std::optional<std::uint64_t> length = {};
    bool is_chunked = false;
    bool expects_continue = false;
};

class GuestRelay {
  public:
    GuestRelay(std::shared_ptr<Connection> connection, std::shared_ptr<GuestLink> link, RelayedBody body,
               bool keeps_alive, const GuestLimits& limits, const std::atomic<bool>& is_stopping);

    /// Leaves the connection without a transfer under way, and a link that cannot be used again closed.
    boost::asio::awaitable<void> run();

    /// Why there is no reply; nothing of one was sent.
    [[nodiscard]] const std::optional<Error>& refusal() const { return refusal_; }
    /// Of the reply, or 0.
    [[nodiscard]] int status() const { return status_; }
    /// Whether the client can send another request.
    [[nodiscard]] bool keeps_connection() const;
    [[nodiscard]] bool keeps_link() const;
    [[nodiscard]] std::size_t bytes_in() const { return bytes_in_; }
    [[nodiscard]] std::size_t bytes_out() const { return bytes_out_; }

  private:
    using Clock = std::chrono::steady_clock;
    enum class Stage {
        opening,    ///< the agent has yet to say that the port answers
        head,       ///< of the reply
        body,       ///< of the reply
        websocket,  ///< bytes both ways
        complete,   ///< what is left is to be sent
        failed,
    };

    bool move();
    void ask_to_open();
    void send_head();
    void take_from_guest();
    void take_frame(const GuestFrame& frame);
    void take_output(std::string_view bytes);
    void read_reply();
    /// True when the reply's body follows; false when there is another head to read, or none.
    [[nodiscard]] bool take_head();
    void begin_reply(const Fields& headers);
    void end_reply();
    void end_by_guest();
    void take_from_client();
    void take_body();
    void give(std::string_view bytes);
    void keep_alive();
    void flush();
    void check_limits();
    void fail(ErrorCode code, std::string detail);
    void fail_not_http(const std::string& why);

    [[nodiscard]] bool has_body_left() const;
    [[nodiscard]] bool is_settled() const { return stage_ == Stage::complete || stage_ == Stage::failed; }
    [[nodiscard]] bool is_over() const;
    [[nodiscard]] std::int64_t ms_since(Clock::time_point moment) const;

    const std::shared_ptr<Connection> connection_;
    const std::shared_ptr<GuestLink> link_;
    const bool keeps_alive_;
    const GuestLimits limits_;
    const std::atomic<bool>& is_stopping_;

    Stage stage_ = Stage::opening;
    std::uint64_t body_left_ = 0;
    std::optional<ChunkDecoder> chunks_;  ///< of the client's body
    bool owes_continue_ = false;
    std::optional<GuestReplyReader> reply_;
    RelayFraming framing_;
    int interim_replies_ = 0;
    std::string from_guest_;  ///< not yet understood
    std::string to_guest_;
    std::string to_client_;
    bool has_begun_reply_ = false;
    bool has_guest_ended_ = false;
    bool is_reusable_ = false;
    std::optional<Error> refusal_;
    int status_ = 0;
    Clock::time_point begun_at_;
    Clock::time_point moved_at_;
    Clock::time_point pinged_at_;
    std::size_t bytes_in_ = 0;
    std::size_t bytes_out_ = 0;
};

}  // namespace fallow::http

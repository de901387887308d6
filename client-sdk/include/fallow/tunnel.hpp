// What passes through a tunnel between a renter's program and the agent that runs its job. The server
// carries it unread.
//
// A frame is its kind (1 byte), the payload's length (4 bytes, big-endian, at most 65,536) and the payload.
// The renter begins with one `open` (JSON: what is wanted); the agent answers with `opened` or with
// `refused` (text) and the end. Then:
//
//   input   →   bytes for the process, or for the port       output, errors  ←  bytes from it
//   end     ⇄   no more bytes this way                       exit            ←  its exit code, 4 bytes
//   resize  →   columns and rows of the terminal, 2 + 2      ping, pong      ⇄  so that nothing thinks it
//   dead
//
// A kind that is not known is passed over.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "fallow/channel.hpp"

namespace fallow::sdk {

inline constexpr std::string_view tunnel_protocol = "fallow-tunnel";
inline constexpr std::size_t tunnel_payload_bytes_max = 65'536;
inline constexpr std::int64_t tunnel_ping_ms = 20'000;
/// A refusal's text begins with it and a colon when the job's processes stand still: to be tried again.
inline constexpr std::string_view tunnel_job_frozen = "job_frozen";

enum class FrameKind : std::uint8_t {
    open = 1,
    opened = 2,
    refused = 3,
    input = 4,
    output = 5,
    errors = 6,
    end = 7,
    resize = 8,
    exit = 9,
    ping = 10,
    pong = 11,
};

struct Frame {
    FrameKind kind = FrameKind::ping;
    std::string payload;
};

/// `payload` has at most tunnel_payload_bytes_max bytes.
[[nodiscard]] std::string encode_frame(FrameKind kind, std::string_view payload);

/// Takes frames out of bytes that come in any pieces.
class FrameReader {
  public:
    void push(std::string_view bytes) { bytes_ += bytes; }
    /// The next whole frame. Throws std::runtime_error when this is no such stream.
    [[nodiscard]] std::optional<Frame> next();

  private:
    std::string bytes_;
    std::size_t at_ = 0;
};

struct TerminalSize {
    std::uint16_t columns = 80;
    std::uint16_t rows = 24;
    friend bool operator==(const TerminalSize&, const TerminalSize&) = default;
};
[[nodiscard]] std::string encode_size(TerminalSize size);
[[nodiscard]] std::optional<TerminalSize> decode_size(std::string_view payload);
[[nodiscard]] std::string encode_exit(std::int32_t code);
[[nodiscard]] std::optional<std::int32_t> decode_exit(std::string_view payload);

/// What an `open` frame asks for.
struct TunnelRequest {
    std::string kind;                  ///< "exec", "attach" or "port"
    std::vector<std::string> command;  ///< exec
    std::map<std::string, std::string> environment;
    std::string folder;                    ///< to run in; empty: the job's own
    bool has_input = false;                ///< exec: what is sent as input is its stdin
    std::optional<TerminalSize> terminal;  ///< exec: a terminal of this size
    std::int64_t port = 0;                 ///< port
    friend bool operator==(const TunnelRequest&, const TunnelRequest&) = default;
};
[[nodiscard]] std::string to_json(const TunnelRequest& request);
/// Throws std::runtime_error with a sentence for whoever asked.
[[nodiscard]] TunnelRequest tunnel_request_from_json(std::string_view json);

/// A channel that carries frames, with a bounded buffer each way.
class FrameLink {
  public:
    explicit FrameLink(Upgraded upgraded);

    /// Queues a frame, longer bytes as several.
    void send(FrameKind kind, std::string_view bytes);
    [[nodiscard]] bool has_room() const { return outgoing_.size() < outgoing_bytes_max; }
    [[nodiscard]] bool has_outgoing() const { return !outgoing_.empty(); }
    /// Writes what can be written now.
    void flush();
    /// The next frame that has come in whole.
    [[nodiscard]] std::optional<Frame> next() { return reader_.next(); }
    enum class Received { some, nothing_now, end };
    [[nodiscard]] Received receive();
    [[nodiscard]] int descriptor() const { return channel_.descriptor(); }

    /// Waits for one frame: of this link alone, before anything else is joined to it. Nothing at the end.
    [[nodiscard]] std::optional<Frame> await(std::int64_t timeout_ms);
    /// Sends what is queued, for as long as that takes within the time.
    void drain(std::int64_t timeout_ms);

  private:
    static constexpr std::size_t outgoing_bytes_max = 256 * 1024;

    Channel channel_;
    FrameReader reader_;
    std::string outgoing_;
};

/// The agent will not do what a tunnel's `open` asked for, and says why.
class TunnelRefused : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// Opens a tunnel into a job with an API key, and has its `open` granted. Throws ApiError (the server
/// refused), TunnelRefused (the agent did) and TransportError.
[[nodiscard]] FrameLink open_tunnel(const HttpClientOptions& server, std::string_view job_id,
                                    const TunnelRequest& request);

/// Joins a link to descriptors of this program until the tunnel or one of its handlers ends it. The
/// descriptors are not closed.
class TunnelLoop {
  public:
    explicit TunnelLoop(FrameLink& link) : link_(link) {}

    /// Read while the link has room. `on_source` is given what was read, nothing at its end.
    int source = -1;
    std::function<void(std::string_view)> on_source;
    /// Where frames of a kind are written to, in order; the link is not read while one is full.
    struct Sink {
        int descriptor = -1;
        bool may_fail = false;  ///< then what comes for it is dropped; else the loop ends
        std::string pending = {};
    };
    std::map<FrameKind, Sink> sinks;
    /// Every frame that has no sink; false ends the loop once the sinks are empty.
    std::function<bool(const Frame&)> on_frame;
    /// Something else to watch: signals.
    int watched = -1;
    std::function<void()> on_watched;
    bool pings = false;               ///< of one's own accord; a ping is answered in any case
    std::int64_t silence_ms_max = 0;  ///< 0: any
    std::stop_token stop;

    /// From a handler: the loop ends once the sinks are empty.
    void finish() { is_over_ = true; }

    enum class Ended { by_handler, by_peer, by_sink, by_silence, by_stop };
    Ended run();

  private:
    [[nodiscard]] bool has_pending() const;
    bool handle(const Frame& frame);
    bool take_frames();
    bool write_sinks();
    void read_source();
    void wait(bool at_once);

    FrameLink& link_;
    bool is_over_ = false;
    bool is_link_idle_ = false;  ///< all that had come was read
    bool is_source_ready_ = false;
    std::int64_t heard_ms_ = 0;
    std::int64_t pinged_ms_ = 0;
};

/// Joins a loop to a socket: bytes both ways, and the end of each way on its own. What the socket gives is
/// sent as `given`, frames of kind `taken` are written to it.
void join_socket(TunnelLoop& loop, FrameLink& link, int socket, FrameKind given, FrameKind taken);

}  // namespace fallow::sdk

// An event stream that reads the database when it is asked and when the hub says that something changed.
// The session pulls, so what a reader has not taken is not read.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "api/services.hpp"
#include "http/message.hpp"

namespace fallow::api {

class PolledStream : public http::ByteStream, public std::enable_shared_from_this<PolledStream> {
  public:
    void next(std::function<void(std::optional<std::string>)> ready) override;
    void cancel() override;

  protected:
    struct Chunk {
        std::string text;     ///< server-sent events; empty when there is nothing new
        bool is_end = false;  ///< nothing follows `text`
        bool is_all = false;  ///< there was nothing more than `text`: the next read can wait for a change
    };

    /// Reads that a change of the topic causes are `pause` apart on average, however often it changes;
    /// after a quiet time a few follow each other at once. What another server may add to without a word in
    /// the journal is looked at `refresh` after the last look anyway.
    PolledStream(Services& services, std::string topic, std::unique_ptr<StreamLimits::Place> place,
                 Millis pause, std::optional<Millis> refresh = std::nullopt);

    /// On a worker's thread, never two at a time. A database failure is thrown.
    virtual Chunk read(store::Connection& connection) = 0;

    Services& services_;

  private:
    using Ready = std::function<void(std::optional<std::string>)>;

    void start_read();
    void read_on(store::Connection& connection, std::uint64_t seen);
    void wait(std::uint64_t seen);
    void wait_on(const std::string& topic, std::uint64_t seen, Millis span,
                 void (PolledStream::*then)(bool));
    void after_pause(bool changed);
    void after_wait(bool changed);
    void deliver(std::optional<std::string> text);

    const std::string topic_;
    const std::unique_ptr<StreamLimits::Place> place_;
    const Millis pause_;
    const std::optional<Millis> refresh_;
    engine::Hub::Clock::time_point heartbeat_at_;
    engine::Hub::Clock::time_point paused_until_;  ///< if no reads at once were allowed
    std::mutex mutex_;
    Ready ready_;  ///< empty while nobody waits
    std::optional<engine::Hub::Ticket> ticket_;
    std::uint64_t seen_ = 0;
    bool has_read_all_ = false;  ///< as of `seen_`, with what was delivered last
    std::atomic<bool> is_cancelled_ = false;
    std::atomic<bool> is_ended_ = false;
};

/// One server-sent event; `data` is one line.
[[nodiscard]] std::string server_sent_event(std::string_view id, std::string_view type,
                                            std::string_view data);

/// A reply that is this stream.
[[nodiscard]] http::Reply stream_reply(std::shared_ptr<http::ByteStream> stream);

/// For an organization that has streams_per_organization_max streams open.
[[nodiscard]] Error too_many_streams();

}  // namespace fallow::api

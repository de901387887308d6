// Server-sent events (WHATWG HTML, section 9.2): bytes in, events out. No I/O here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::sdk {

struct SseEvent {
    std::string id;  ///< the last id seen on the stream, which is what resumes after this event
    std::string type = "message";
    std::string data;

    friend bool operator==(const SseEvent&, const SseEvent&) = default;
};

class SseParser {
  public:
    explicit SseParser(std::string last_event_id = {}) : last_event_id_(std::move(last_event_id)) {}

    /// The events completed by this chunk. Chunks may be cut anywhere, in the middle of a line end too.
    /// Throws ProtocolError when one event grows past event_bytes_max.
    [[nodiscard]] std::vector<SseEvent> push(std::string_view chunk);

    [[nodiscard]] const std::string& last_event_id() const { return last_event_id_; }
    /// The pause before reconnecting that the server asked for with `retry:`.
    [[nodiscard]] std::optional<std::int64_t> retry_ms() const { return retry_ms_; }

    static constexpr std::size_t event_bytes_max = std::size_t{8} * 1024 * 1024;

  private:
    void end_line(std::vector<SseEvent>& events);
    void take_field(std::string_view name, std::string_view value);

    std::string line_;
    std::string data_;
    std::string type_;
    std::optional<std::string> id_;
    std::string last_event_id_;
    std::optional<std::int64_t> retry_ms_;
    bool first_line_ = true;
    bool after_cr_ = false;
};

}  // namespace fallow::sdk

#include "fallow/sse.hpp"

#include <charconv>
#include <utility>

#include "fallow/errors.hpp"

namespace fallow::sdk {

std::vector<SseEvent> SseParser::push(std::string_view chunk) {
    std::vector<SseEvent> events;
    for (const char c : chunk) {
        if (c == '\n' && std::exchange(after_cr_, false)) continue;  // the second half of CRLF
        after_cr_ = c == '\r';
        if (c == '\r' || c == '\n') {
            end_line(events);
            continue;
        }
        line_.push_back(c);
        if (line_.size() + data_.size() > event_bytes_max)
            throw ProtocolError("an event of the stream is larger than " + std::to_string(event_bytes_max) +
                                " bytes");
    }
    return events;
}

void SseParser::end_line(std::vector<SseEvent>& events) {
    std::string line = std::exchange(line_, {});
    if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) line.erase(0, 3);
    if (!line.empty()) {
        const auto colon = line.find(':');
        if (colon == 0) return;  // a comment: the server's heartbeat
        const std::string_view name = std::string_view(line).substr(0, colon);
        std::string_view value =
            colon == std::string::npos ? std::string_view{} : std::string_view(line).substr(colon + 1);
        if (value.starts_with(' ')) value.remove_prefix(1);
        take_field(name, value);
        return;
    }
    if (id_) last_event_id_ = *std::exchange(id_, std::nullopt);
    std::string type = std::exchange(type_, {});
    if (data_.empty()) return;
    data_.pop_back();  // the line end after the last line of data
    if (type.empty()) type = "message";
    events.push_back({last_event_id_, std::move(type), std::exchange(data_, {})});
}

void SseParser::take_field(std::string_view name, std::string_view value) {
    if (name == "data") {
        data_.append(value).push_back('\n');
    } else if (name == "event") {
        type_ = value;
    } else if (name == "id") {
        if (value.find('\0') == std::string_view::npos) id_ = std::string(value);
    } else if (name == "retry") {
        std::int64_t retry = 0;
        const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), retry);
        constexpr std::int64_t hour_ms = 3'600'000;
        if (error == std::errc() && end == value.data() + value.size() && retry >= 0 && retry <= hour_ms)
            retry_ms_ = retry;
    }
}

}  // namespace fallow::sdk

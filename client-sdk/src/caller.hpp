// One logical call: attempts, pauses, deadline and idempotency key around the transport. Knows no route.
#pragma once

#include <functional>
#include <stop_token>
#include <string>
#include <string_view>

#include "fallow/client.hpp"
#include "fallow/sse.hpp"

namespace fallow::sdk {

class Caller {
  public:
    Caller(ClientOptions options, Environment& environment);

    [[nodiscard]] HttpResponse get(const std::string& path);
    /// The body of a 2xx reply; `body` is JSON. With an Idempotency-Key.
    std::string post(const std::string& path, std::string body, const CallOptions& options);
    std::string put(const std::string& path, std::string body, const std::string& content_type);
    std::string patch(const std::string& path, std::string body, std::int64_t version);
    void remove(const std::string& path);
    /// One attempt, and the reply whatever its status.
    [[nodiscard]] HttpResponse probe(const std::string& path);

    /// Follows an event stream. `path_after` is given the last event id seen. `act` returns false to end.
    void follow(const std::function<std::string(const std::string& last_event_id)>& path_after,
                std::string last_event_id, const std::function<bool(const SseEvent&)>& act,
                const std::stop_token& stop);

  private:
    enum class Repeat {
        always,     ///< a second execution changes nothing
        if_unseen,  ///< only when the server cannot have acted on it
    };
    HttpResponse call(HttpRequest request, Repeat repeat);
    HttpResponse attempt(HttpRequest& request, std::int64_t remaining_ms);
    bool read_stream(const HttpRequest& request, SseParser& parser,
                     const std::function<bool(const SseEvent&)>& act,
                     const std::function<void()>& on_contact);

    ClientOptions options_;
    Environment& environment_;
    HttpClient http_;
};

}  // namespace fallow::sdk

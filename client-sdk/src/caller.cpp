#include "caller.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace fallow::sdk {
namespace {

constexpr std::string_view json_type = "application/json";

/// Several times the 15 s of the server's heartbeat.
constexpr std::int64_t stream_idle_timeout_ms = 60'000;

HttpClientOptions transport_of(const ClientOptions& options) {
    HttpClientOptions transport;
    transport.base_url = options.url;
    transport.ca_file = options.ca_file;
    transport.bearer_key = options.api_key;
    transport.user_agent = options.user_agent;
    return transport;
}

}  // namespace

Caller::Caller(ClientOptions options, Environment& environment)
    : options_(std::move(options)), environment_(environment), http_(transport_of(options_)) {}

HttpResponse Caller::attempt(HttpRequest& request, std::int64_t remaining_ms) {
    request.timeout_ms =
        std::max<std::int64_t>(1, std::min(options_.retry.attempt_timeout_ms, remaining_ms));
    HttpResponse response = http_.send(request);
    if (!response.ok()) throw ApiError(problem_of(response));
    return response;
}

HttpResponse Caller::call(HttpRequest request, Repeat repeat) {
    const std::int64_t started = environment_.now_ms();
    request.fresh_connection = repeat == Repeat::if_unseen;
    for (int failures = 1;; ++failures) {
        std::optional<std::int64_t> delay;
        const auto delay_after = [&](std::optional<std::int64_t> retry_after) {
            return next_delay_ms(options_.retry, failures, environment_.now_ms() - started, retry_after,
                                 environment_.random_bits());
        };
        try {
            return attempt(request, options_.retry.deadline_ms - (environment_.now_ms() - started));
        } catch (const ApiError& error) {
            // 429 and 503 are said before anything is done; after another one the work may be half known.
            const bool unseen = error.status() == 429 || error.status() == 503;
            if (is_passing(error) && (repeat == Repeat::always || unseen))
                delay = delay_after(error.problem().retry_after_ms);
            if (!delay) throw;
        } catch (const TransportError& error) {
            const TransportErrorKind kind = error.kind();
            const bool passing = kind == TransportErrorKind::refused ||
                                 kind == TransportErrorKind::timeout || kind == TransportErrorKind::other;
            if (passing && (repeat == Repeat::always || kind == TransportErrorKind::refused))
                delay = delay_after(std::nullopt);
            if (!delay) throw;
        }
        environment_.pause(*delay, request.stop);
        if (request.stop.stop_requested())
            throw TransportError(TransportErrorKind::cancelled, "the call was cancelled");
    }
}

HttpResponse Caller::get(const std::string& path) {
    HttpRequest request;
    request.path = path;
    return call(std::move(request), Repeat::always);
}

std::string Caller::post(const std::string& path, std::string body, const CallOptions& options) {
    HttpRequest request;
    request.method = "POST";
    request.path = path;
    request.body = std::move(body);
    request.content_type = json_type;
    request.stop = options.stop;
    std::string key = options.idempotency_key;
    if (key.empty())
        key = fmt::format("{:016x}{:016x}", environment_.random_bits(), environment_.random_bits());
    request.headers.emplace_back("Idempotency-Key", std::move(key));
    return call(std::move(request), Repeat::always).body;
}

std::string Caller::put(const std::string& path, std::string body, const std::string& content_type) {
    HttpRequest request;
    request.method = "PUT";
    request.path = path;
    request.body = std::move(body);
    request.content_type = content_type;
    return call(std::move(request), Repeat::always).body;
}

std::string Caller::patch(const std::string& path, std::string body, std::int64_t version) {
    HttpRequest request;
    request.method = "PATCH";
    request.path = path;
    request.body = std::move(body);
    request.content_type = json_type;
    request.headers.emplace_back("If-Match", fmt::format("\"{}\"", version));
    // A repetition after a success that was not heard of would be answered with precondition_failed.
    return call(std::move(request), Repeat::if_unseen).body;
}

void Caller::remove(const std::string& path) {
    HttpRequest request;
    request.method = "DELETE";
    request.path = path;
    // A repetition after a success that was not heard of would be answered with not_found.
    call(std::move(request), Repeat::if_unseen);
}

HttpResponse Caller::probe(const std::string& path) {
    HttpRequest request;
    request.path = path;
    request.timeout_ms = options_.retry.attempt_timeout_ms;
    return http_.send(request);
}

/// False when `act` wants no more.
bool Caller::read_stream(const HttpRequest& request, SseParser& parser,
                         const std::function<bool(const SseEvent&)>& act,
                         const std::function<void()>& on_contact) {
    bool wanted = true;
    const auto on_head = [](const HttpResponse& head) {
        if (head.ok() && !head.header("content-type").starts_with("text/event-stream"))
            throw ProtocolError("the server does not answer with an event stream");
    };
    const auto on_chunk = [&](std::string_view chunk) {
        on_contact();
        for (const SseEvent& event : parser.push(chunk)) {
            wanted = act(event);
            if (!wanted) return false;
        }
        return true;
    };
    const HttpResponse response = http_.stream(request, on_head, on_chunk);
    if (!response.ok()) throw ApiError(problem_of(response));
    return wanted;
}

void Caller::follow(const std::function<std::string(const std::string&)>& path_after,
                    std::string last_event_id, const std::function<bool(const SseEvent&)>& act,
                    const std::stop_token& stop) {
    int failures = 0;
    std::int64_t last_contact = environment_.now_ms();
    std::int64_t reconnect_ms = 0;
    while (!stop.stop_requested()) {
        HttpRequest request;
        request.path = path_after(last_event_id);
        request.headers.emplace_back("Accept", "text/event-stream");
        if (!last_event_id.empty()) request.headers.emplace_back("Last-Event-ID", last_event_id);
        request.timeout_ms = 0;
        request.idle_timeout_ms = stream_idle_timeout_ms;
        request.stop = stop;
        SseParser parser(last_event_id);
        std::optional<std::int64_t> delay;
        const auto delay_after = [&](std::optional<std::int64_t> retry_after) {
            return next_delay_ms(options_.retry, ++failures, environment_.now_ms() - last_contact,
                                 retry_after, environment_.random_bits());
        };
        try {
            const bool wanted = read_stream(request, parser, act, [&] {
                failures = 0;
                last_contact = environment_.now_ms();
            });
            if (!wanted) return;
            delay = delay_after(std::nullopt);
            if (!delay)
                throw TransportError(TransportErrorKind::other, "the server keeps closing the stream");
        } catch (const ApiError& error) {
            if (is_passing(error)) delay = delay_after(error.problem().retry_after_ms);
            if (!delay) throw;
        } catch (const TransportError& error) {
            if (error.kind() == TransportErrorKind::cancelled) return;
            if (error.kind() != TransportErrorKind::tls) delay = delay_after(std::nullopt);
            if (!delay) throw;
        }
        last_event_id = parser.last_event_id();
        reconnect_ms = parser.retry_ms().value_or(reconnect_ms);
        environment_.pause(std::max(*delay, reconnect_ms), stop);
    }
}

}  // namespace fallow::sdk

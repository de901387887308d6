#include "api/reply.hpp"

#include <charconv>

namespace fallow::api {
namespace {

/// Whether a comma-separated list of entity tags names `etag`, by the weak comparison (RFC 9110, 8.8.3.2).
bool names_etag(std::string_view list, std::string_view etag) {
    while (!list.empty()) {
        const std::size_t comma = list.find(',');
        std::string_view item = list.substr(0, comma);
        list = comma == std::string_view::npos ? std::string_view() : list.substr(comma + 1);
        while (item.starts_with(' ') || item.starts_with('\t'))
            item.remove_prefix(1);
        while (item.ends_with(' ') || item.ends_with('\t'))
            item.remove_suffix(1);
        if (item.starts_with("W/")) item.remove_prefix(2);
        if (item == etag || item == "*") return true;
    }
    return false;
}

}  // namespace

http::Reply json_reply(std::string body, int status) {
    http::Reply reply;
    reply.status = status;
    reply.body = std::move(body);
    return reply;
}

http::Reply no_content() {
    http::Reply reply;
    reply.status = 204;
    reply.content_type.clear();
    return reply;
}

http::Reply stored_reply(int status, std::string body, bool replayed) {
    if (status == 204) return no_content();
    http::Reply reply = json_reply(std::move(body), status);
    if (status >= 400) {
        reply.content_type = "application/problem+json";
        if (reply.body.find(R"("retryable":true)") != std::string::npos)
            reply.headers.emplace_back("Retry-After", "1");
    }
    if (replayed) reply.headers.emplace_back("Idempotent-Replay", "true");
    return reply;
}

std::optional<std::string> etag_of(std::string_view body) {
    constexpr std::string_view name = R"(,"version":)";
    if (!body.ends_with('}')) return std::nullopt;
    body.remove_suffix(1);
    std::size_t digits = 0;
    while (digits < body.size() && body[body.size() - 1 - digits] >= '0' &&
           body[body.size() - 1 - digits] <= '9')
        ++digits;
    if (digits == 0 || !body.substr(0, body.size() - digits).ends_with(name)) return std::nullopt;
    return '"' + std::string(body.substr(body.size() - digits)) + '"';
}

void apply_etag(const http::Request& request, http::Reply& reply) {
    if (reply.stream || (reply.status != 200 && reply.status != 201)) return;
    if (reply.content_type != "application/json") return;
    const auto etag = etag_of(reply.body);
    if (!etag) return;
    reply.headers.emplace_back("ETag", *etag);
    const std::string* known = request.header("if-none-match");
    const bool is_read = request.method == http::Method::get || request.method == http::Method::head;
    if (is_read && known != nullptr && names_etag(*known, *etag)) {
        reply.status = 304;
        reply.body.clear();
    }
}

Result<std::int64_t> if_match(const http::Request& request) {
    const std::string* given = request.header("if-match");
    if (given == nullptr)
        return refuse(ErrorCode::precondition_required,
                      "Send If-Match with the ETag that the object had when you read it.",
                      "header:If-Match");
    std::string_view text = *given;
    std::int64_t version = 0;
    if (text.size() > 2 && text.front() == '"' && text.back() == '"') {
        text = text.substr(1, text.size() - 2);
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
        if (error == std::errc() && end == text.data() + text.size() && version > 0) return version;
    }
    return refuse(ErrorCode::invalid_field,
                  "Give one ETag as the server sent it, like \"7\" in double quotes.", "header:If-Match");
}

bool wants_events(const http::Request& request) {
    const std::string* accept = request.header("accept");
    return accept != nullptr && accept->find("text/event-stream") != std::string::npos;
}

}  // namespace fallow::api

#include "http/problem.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>

namespace fallow::http {

int status_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::bad_request:
            return 400;
        case ErrorKind::unauthenticated:
            return 401;
        case ErrorKind::payment:
            return 402;
        case ErrorKind::forbidden:
            return 403;
        case ErrorKind::not_found:
            return 404;
        case ErrorKind::method:
            return 405;
        case ErrorKind::timeout:
            return 408;
        case ErrorKind::conflict:
            return 409;
        case ErrorKind::length:
            return 411;
        case ErrorKind::precondition:
            return 412;
        case ErrorKind::too_large:
            return 413;
        case ErrorKind::target_size:
            return 414;
        case ErrorKind::media_type:
            return 415;
        case ErrorKind::expectation:
            return 417;
        case ErrorKind::unprocessable:
            return 422;
        case ErrorKind::precondition_required:
            return 428;
        case ErrorKind::too_many:
            return 429;
        case ErrorKind::header_size:
            return 431;
        case ErrorKind::internal:
            return 500;
        case ErrorKind::not_supported:
            return 501;
        case ErrorKind::bad_gateway:
            return 502;
        case ErrorKind::unavailable:
            return 503;
        case ErrorKind::http_version:
            return 505;
    }
    return 500;
}

namespace {

std::string retry_after(const Error& error) {
    const auto* facts = dynamic_cast<const RetryAfter*>(error.facts.get());
    return std::to_string(facts == nullptr ? 1 : std::max<std::int64_t>(1, facts->seconds));
}

}  // namespace

Reply problem(const Error& error, std::string_view request_id, std::string_view more) {
    const ErrorKind kind = kind_of(error.code);
    const bool retryable = is_retryable(error.code);
    Reply reply;
    reply.status = status_of(kind);
    reply.content_type = "application/problem+json";

    nlohmann::ordered_json body;
    body["type"] = fmt::format("urn:fallow:problem:{}", name_of(error.code));
    body["title"] = title_of(error.code);
    body["status"] = reply.status;
    body["code"] = name_of(error.code);
    body["detail"] = error.detail;
    body["request_id"] = request_id;
    body["retryable"] = retryable;
    if (!error.pointer.empty()) body["pointer"] = error.pointer;
    if (!more.empty()) body.update(nlohmann::ordered_json::parse(more));
    // A detail may quote what the caller sent, which need not be UTF-8.
    reply.body = body.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);

    if (kind == ErrorKind::unauthenticated) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
    if (retryable) reply.headers.emplace_back("Retry-After", retry_after(error));
    return reply;
}

}  // namespace fallow::http

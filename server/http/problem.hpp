// RFC 9457 problems: the one place that gives an Error a status code.
#pragma once

#include <cstdint>

#include "base/error.hpp"
#include "http/message.hpp"

namespace fallow::http {

[[nodiscard]] int status_of(ErrorKind kind);

/// As the facts of an error: how long to wait before trying again, at least a second.
struct RetryAfter : ErrorFacts {
    explicit RetryAfter(std::int64_t given) : seconds(given) {}
    std::int64_t seconds;
};

/// An application/problem+json reply with type, title, status, code, detail, request_id, retryable and,
/// when the error has one, pointer; then the members of the JSON object `more`, if there is one. Retryable
/// errors carry Retry-After: a second, unless the error's facts say more.
[[nodiscard]] Reply problem(const Error& error, std::string_view request_id, std::string_view more = {});

}  // namespace fallow::http

// Errors a caller can cause. They know nothing of HTTP: http/problem.cpp alone turns a kind into a status.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace fallow {

enum class ErrorKind {
    bad_request,
    unauthenticated,
    payment,
    forbidden,
    not_found,
    method,
    timeout,
    conflict,
    length,
    precondition,
    too_large,
    media_type,
    expectation,
    unprocessable,
    precondition_required,
    too_many,
    header_size,
    internal,
    not_supported,
    unavailable,
    http_version,
    target_size,
    bad_gateway,
};

enum class ErrorCode {
#define FALLOW_ERROR(code, kind, retryable, title) code,
#include "base/errors.def"
#undef FALLOW_ERROR
};

[[nodiscard]] std::string_view name_of(ErrorCode code);
[[nodiscard]] std::string_view title_of(ErrorCode code);
[[nodiscard]] ErrorKind kind_of(ErrorCode code);
[[nodiscard]] bool is_retryable(ErrorCode code);

/// What a refusal knows beside its sentence. Whoever made it and whoever shows it know its type.
struct ErrorFacts {
    virtual ~ErrorFacts() = default;
};

/// One refusal: what is wrong, in a sentence that names the remedy, and where in the request it is.
struct Error {
    ErrorCode code = ErrorCode::internal;
    std::string detail;  ///< a sentence for a person
    std::string
        pointer;  ///< RFC 6901 pointer into the body ("/count"), "query:NAME" or "header:NAME"; or empty
    std::shared_ptr<const ErrorFacts> facts = {};

    friend bool operator==(const Error&, const Error&) = default;
};

}  // namespace fallow

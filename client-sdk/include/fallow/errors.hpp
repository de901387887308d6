// What a call of the SDK throws beside TransportError (http_client.hpp).
#pragma once

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace fallow::sdk {

struct HttpResponse;

/// What the server says in its application/problem+json (RFC 9457).
struct Problem {
    int status = 0;
    std::string
        code;  ///< stable, for programs: "not_found", "insufficient_funds", …; empty for a foreign reply
    std::string title;       ///< the same for every problem of that code
    std::string detail;      ///< a sentence for a person
    std::string pointer;     ///< where in the request: "/count", "query:limit", "header:If-Match"; or empty
    std::string request_id;  ///< to be named when asking the operator
    bool retryable = false;  ///< the same request can succeed later
    std::optional<std::int64_t> retry_after_ms;
    std::string explanation;  ///< of no_match: an Explanation as JSON, or empty
};

/// The server answered, and refused.
class ApiError : public std::runtime_error {
  public:
    explicit ApiError(Problem problem);
    [[nodiscard]] const Problem& problem() const { return problem_; }
    [[nodiscard]] int status() const { return problem_.status; }
    [[nodiscard]] const std::string& code() const { return problem_.code; }
    [[nodiscard]] const std::string& detail() const { return problem_.detail; }
    [[nodiscard]] const std::string& pointer() const { return problem_.pointer; }
    [[nodiscard]] const std::string& request_id() const { return problem_.request_id; }
    [[nodiscard]] bool retryable() const { return problem_.retryable; }

  private:
    Problem problem_;
};

/// The reply is not what the contract promises: another server, or another version of it.
class ProtocolError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// The problem of a reply that is not 2xx. A body that is no problem document (a proxy's page) gives an
/// empty code.
[[nodiscard]] Problem problem_of(const HttpResponse& response);

/// "Retry-After: 3" in milliseconds. The form with a date is not understood and yields nothing.
[[nodiscard]] std::optional<std::int64_t> retry_after_ms(const HttpResponse& response);

}  // namespace fallow::sdk

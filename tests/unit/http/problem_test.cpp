#include "http/problem.hpp"

#include "base/result.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

namespace fallow::http {
namespace {

const std::string* header(const Reply& reply, std::string_view name) {
    const auto found = std::ranges::find(reply.headers, name, &Fields::value_type::first);
    return found == reply.headers.end() ? nullptr : &found->second;
}

}  // namespace

TEST_CASE("every code has a status that HTTP gives to errors", "[http][problem]") {
    const std::vector<ErrorCode> codes = {
#define FALLOW_ERROR(code, kind, retryable, title) ErrorCode::code,
#include "base/errors.def"
#undef FALLOW_ERROR
    };
    for (const ErrorCode code : codes) {
        INFO(name_of(code));
        const Reply reply = problem(refuse(code, "why"), "req_1");
        CHECK(reply.status == status_of(kind_of(code)));
        CHECK(reply.status >= 400);
        CHECK(reply.status <= 505);
        CHECK((header(reply, "Retry-After") != nullptr) == is_retryable(code));
        CHECK((header(reply, "WWW-Authenticate") != nullptr) == (reply.status == 401));
    }
}

TEST_CASE("the status of each kind", "[http][problem]") {
    const std::vector<std::pair<ErrorCode, int>> rows = {
        {ErrorCode::bad_request, 400},
        {ErrorCode::unauthenticated, 401},
        {ErrorCode::insufficient_funds, 402},
        {ErrorCode::scope_missing, 403},
        {ErrorCode::not_found, 404},
        {ErrorCode::method_not_allowed, 405},
        {ErrorCode::request_timeout, 408},
        {ErrorCode::wrong_state, 409},
        {ErrorCode::length_required, 411},
        {ErrorCode::precondition_failed, 412},
        {ErrorCode::body_too_large, 413},
        {ErrorCode::target_too_long, 414},
        {ErrorCode::unsupported_media_type, 415},
        {ErrorCode::expectation_failed, 417},
        {ErrorCode::invalid_field, 422},
        {ErrorCode::precondition_required, 428},
        {ErrorCode::rate_limited, 429},
        {ErrorCode::header_too_large, 431},
        {ErrorCode::internal, 500},
        {ErrorCode::not_supported, 501},
        {ErrorCode::app_failed, 502},
        {ErrorCode::queue_full, 503},
        {ErrorCode::http_version, 505},
    };
    for (const auto& [code, status] : rows) {
        INFO(name_of(code));
        CHECK(status_of(kind_of(code)) == status);
    }
}

TEST_CASE("a problem says what, where and whether to try again", "[http][problem]") {
    const Reply reply = problem(refuse(ErrorCode::invalid_field, "Say \"how\".", "/count"), "req_7");
    CHECK(reply.status == 422);
    CHECK(reply.content_type == "application/problem+json");
    const auto body = nlohmann::json::parse(reply.body);
    const auto wanted = nlohmann::json{{"type", "urn:fallow:problem:invalid_field"},
                                       {"title", title_of(ErrorCode::invalid_field)},
                                       {"status", 422},
                                       {"code", "invalid_field"},
                                       {"detail", "Say \"how\"."},
                                       {"request_id", "req_7"},
                                       {"retryable", false},
                                       {"pointer", "/count"}};
    CHECK(body == wanted);
}

TEST_CASE("a problem says when to try again", "[http][problem]") {
    Error error = refuse(ErrorCode::rate_limited, "later");
    CHECK(*header(problem(error, "req_1"), "Retry-After") == "1");
    error.facts = std::make_shared<RetryAfter>(90);
    CHECK(*header(problem(error, "req_1"), "Retry-After") == "90");
    error.facts = std::make_shared<RetryAfter>(0);
    CHECK(*header(problem(error, "req_1"), "Retry-After") == "1");
}

TEST_CASE("a detail that is not UTF-8 still makes valid JSON", "[http][problem]") {
    const Reply reply = problem(refuse(ErrorCode::bad_request, "got \xff"), "req_1");
    CHECK(nlohmann::json::parse(reply.body)["detail"] == "got \xef\xbf\xbd");
    CHECK_FALSE(nlohmann::json::parse(reply.body).contains("pointer"));
}

}  // namespace fallow::http

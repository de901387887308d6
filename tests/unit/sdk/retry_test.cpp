#include "fallow/retry.hpp"

#include <catch2/catch.hpp>

#include "fallow/errors.hpp"

namespace fallow::sdk {
namespace {

using Delay = std::optional<std::int64_t>;

TEST_CASE("a pause is uniform below a bound that doubles, and ends in giving up") {
    struct Row {
        int failures;
        std::int64_t elapsed_ms;
        Delay retry_after_ms;
        std::uint64_t random_bits;
        Delay delay;
    };
    // base 200, at most 10,000, 6 attempts, deadline 60,000
    const auto row = GENERATE(values<Row>({
        {1, 0, {}, 0, 0},
        {1, 0, {}, 200, 200},
        {1, 0, {}, 201, 0},  // the bound itself is possible, one more wraps
        {2, 0, {}, 400, 400},
        {5, 0, {}, 3'200, 3'200},
        {6, 0, {}, 0, {}},  // the sixth attempt was the last
        {1, 59'900, {}, 99, 99},
        {1, 59'900, {}, 100, {}},  // would end at the deadline
        {1, 0, 3'000, 0, 3'000},   // the server's wish
        {1, 0, 100, 200, 200},     // is a lower bound only
        {1, 0, 60'000, 0, {}},     // and not worth waiting for past the deadline
    }));
    CAPTURE(row.failures, row.elapsed_ms, row.random_bits);
    CHECK(next_delay_ms({}, row.failures, row.elapsed_ms, row.retry_after_ms, row.random_bits) ==
          row.delay);
}

TEST_CASE("the bound stops growing") {
    RetryPolicy policy;
    policy.attempts_max = 1'000;
    policy.deadline_ms = 1'000'000;
    for (int failures = 1; failures < 200; ++failures)
        CHECK(next_delay_ms(policy, failures, 0, {}, 10'000).value() <= policy.delay_ms_max);
    CHECK(next_delay_ms(policy, 100, 0, {}, 10'000) == Delay(10'000));
}

TEST_CASE("which refusals pass") {
    struct Row {
        int status;
        std::string code;
        bool retryable;
        bool passing;
    };
    const auto row = GENERATE(values<Row>({
        {503, "queue_full", true, true},
        {503, "", false, true},  // a proxy's page
        {502, "", false, true},
        {504, "", false, true},
        {429, "rate_limited", true, true},
        {408, "request_timeout", true, true},
        {500, "internal", true, true},
        {500, "quarantined", false, false},
        {500, "", false, false},
        {409, "no_match", true, false},
        {409, "wrong_state", false, false},
        {404, "not_found", false, false},
        {422, "invalid_field", false, false},
        {501, "not_supported", false, false},
        {301, "", false, false},
    }));
    CAPTURE(row.status, row.code);
    CHECK(is_passing(ApiError({.status = row.status,
                               .code = row.code,
                               .title = {},
                               .detail = {},
                               .pointer = {},
                               .request_id = {},
                               .retryable = row.retryable,
                               .retry_after_ms = {},
                               .explanation = {}})) == row.passing);
}

}  // namespace
}  // namespace fallow::sdk

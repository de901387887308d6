// Who tries again when, after a try that did not reach the server: as a table.
#include "agent/return_policy.hpp"

#include <catch2/catch.hpp>
#include <string>

using namespace fallow::agent;

TEST_CASE("The pause before the next try") {
    struct Row {
        std::string what;
        FailedTry tried;
        Pause expected;
    };
    constexpr auto refused = Failure::refused;
    constexpr auto unanswered = Failure::unanswered;
    constexpr auto answered = Failure::answered;
    const Row rows[] = {
        {"with a lease soon, whatever happened", {refused, 1, true, 40'000}, {450, 550}},
        {"and as soon each time", {unanswered, 2, true, 40'000}, {450, 550}},
        {"also where the server is there", {answered, 2, true, 40'000}, {450, 550}},
        {"an idle host leaves the first quarter to the others",
         {refused, 1, false, 40'000},
         {10'000, 40'000}},
        {"and each time anew", {refused, 2, false, 40'000}, {10'000, 40'000}},
        {"one of few comes at once", {refused, 1, false, 0}, {900, 1100}},
        {"one of some more", {refused, 1, false, 3000}, {900, 3000}},
        {"one connection that broke is no server that is gone",
         {unanswered, 1, false, 40'000},
         {900, 1100}},
        {"two are", {unanswered, 2, false, 40'000}, {10'000, 40'000}},
        {"a server that answers is not kept waiting", {answered, 1, false, 40'000}, {900, 7000}},
        {"nor is it asked too often", {answered, 2, false, 40'000}, {900, 7000}},
        {"unless few ask", {answered, 2, false, 0}, {900, 1100}},
        {"what the server says is bounded", {refused, 1, false, 1'000'000}, {30'000, 120'000}},
        {"from below as well", {refused, 1, false, -5}, {900, 1100}},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        const Pause pause = pause_after(row.tried);
        CHECK(pause.least_ms == row.expected.least_ms);
        CHECK(pause.most_ms == row.expected.most_ms);
    }
}

// How many connections lead into one job.
#include "api/apps.hpp"

#include <catch2/catch.hpp>

#include <vector>

using namespace fallow::api;

TEST_CASE("a job has so many connections at one server, and each is given back when it ends") {
    AppPlaces places;
    const auto has_room = [&](const char* job) { return places.enter(job) != nullptr; };
    std::vector<std::shared_ptr<const void>> taken;
    for (int i = 0; i < app_connections_per_job_max; ++i) {
        taken.push_back(places.enter("org_a/job_1"));
        REQUIRE(taken.back() != nullptr);
    }
    CHECK_FALSE(has_room("org_a/job_1"));
    // Neither another job's nor another organization's.
    CHECK(has_room("org_a/job_2"));
    CHECK(has_room("org_b/job_1"));
    taken.pop_back();
    CHECK(has_room("org_a/job_1"));
    taken.push_back(places.enter("org_a/job_1"));
    CHECK(taken.back() != nullptr);
    CHECK_FALSE(has_room("org_a/job_1"));
}

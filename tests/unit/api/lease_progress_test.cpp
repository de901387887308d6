// What a host tells of its progress, and when its job shows it.
#include "api/lease_progress.hpp"

#include <catch2/catch.hpp>

using namespace fallow;
using namespace fallow::api;
using accounts::LeaseProgress;
using accounts::ProgressStep;
using market::JobState;

TEST_CASE("a step has what is done of it, and the whole where that is known") {
    const auto whole = decode_progress(R"({"step":"fetching_inputs","done_bytes":5,"total_bytes":5})");
    REQUIRE(whole.ok());
    CHECK(whole->step == ProgressStep::fetching_inputs);
    CHECK(whole->done_bytes == 5);
    CHECK(whole->total_bytes == 5);
    const auto part = decode_progress(R"({"step":"pulling_image","done_bytes":0,"total_bytes":null})");
    REQUIRE(part.ok());
    CHECK_FALSE(part->total_bytes);
}

TEST_CASE("progress that is refused") {
    struct Row {
        std::string body;
        ErrorCode code;
        std::string pointer;
    };
    const std::vector<Row> rows = {
        {R"({"done_bytes":1})", ErrorCode::missing_field, "/step"},
        {R"({"step":"thinking","done_bytes":1})", ErrorCode::invalid_field, "/step"},
        {R"({"step":"pulling_image"})", ErrorCode::missing_field, "/done_bytes"},
        {R"({"step":"pulling_image","done_bytes":-1})", ErrorCode::invalid_field, "/done_bytes"},
        {R"({"step":"pulling_image","done_bytes":"1"})", ErrorCode::invalid_field, "/done_bytes"},
        {R"({"step":"pulling_image","done_bytes":2,"total_bytes":1})", ErrorCode::invalid_field,
         "/done_bytes"},
        {R"({"step":"pulling_image","done_bytes":0,"total_bytes":-1})", ErrorCode::invalid_field,
         "/total_bytes"},
        {R"({"step":"pulling_image","done_bytes":0,"total_bytes":1125899906842625})",
         ErrorCode::invalid_field, "/total_bytes"},
        {R"({"step":"pulling_image","done_bytes":0,"percent":3})", ErrorCode::unknown_field, "/percent"},
    };
    for (const Row& row : rows) {
        CAPTURE(row.body);
        const auto refused = decode_progress(row.body);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == row.code);
        CHECK(refused.error().pointer == row.pointer);
    }
}

TEST_CASE("a job shows what it waits for now, and nothing that is over") {
    const LeaseId current(RawId{1, 1});
    const LeaseId earlier(RawId{1, 2});
    struct Row {
        ProgressStep step;
        std::int64_t done;
        std::optional<std::int64_t> total;
        LeaseId of;
        JobState state;
        bool is_shown;
    };
    const std::vector<Row> rows = {
        {ProgressStep::pulling_image, 1, std::nullopt, current, JobState::assigned, true},
        {ProgressStep::pulling_image, 2, 2, current, JobState::assigned, true},  // it is unpacked yet
        {ProgressStep::fetching_inputs, 1, 2, current, JobState::assigned, true},
        {ProgressStep::restoring_checkpoint, 1, 2, current, JobState::assigned, true},
        {ProgressStep::fetching_inputs, 1, 2, earlier, JobState::assigned, false},
        {ProgressStep::fetching_inputs, 1, 2, current, JobState::running, false},
        {ProgressStep::fetching_inputs, 1, 2, current, JobState::queued, false},
        {ProgressStep::fetching_inputs, 1, 2, current, JobState::failed, false},
        {ProgressStep::uploading_outputs, 1, 2, current, JobState::running, true},
        {ProgressStep::uploading_outputs, 2, 2, current, JobState::running, false},
        {ProgressStep::uploading_outputs, 1, 2, current, JobState::succeeded, false},
    };
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CAPTURE(i);
        const Row& row = rows[i];
        LeaseProgress progress;
        progress.lease = row.of;
        progress.step = row.step;
        progress.done_bytes = row.done;
        progress.total_bytes = row.total;
        market::Job job;
        job.lease = current;
        job.state = row.state;
        CHECK(is_of_now(progress, job) == row.is_shown);
    }
}

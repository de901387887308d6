#include "agent/state.hpp"

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

const std::string lease_id = "lease_00000000000000000000000001";

unsigned mode_of(const std::filesystem::path& path) {
    struct stat facts {};
    REQUIRE(::stat(path.c_str(), &facts) == 0);
    return facts.st_mode & 07777U;
}

}  // namespace

TEST_CASE("files are replaced whole, and secrets are for their owner alone") {
    const TemporaryFolder folder;
    const auto path = folder.path() / "file";
    write_file_atomically(path, "one", true);
    CHECK(mode_of(path) == 0600);
    std::ofstream(path.string() + ".new") << "left behind by a killed writer";
    write_file_atomically(path, "two", true);
    CHECK(read_file(path) == "two");
    CHECK(mode_of(path) == 0600);
    CHECK_THROWS_AS(read_file(folder.path() / "none"), std::system_error);
}

TEST_CASE("the folder keeps what it is given") {
    const TemporaryFolder folder;
    const StateFolder state(folder.path() / "state");
    CHECK(mode_of(folder.path() / "state") == 0700);
    CHECK_FALSE(state.is_enrolled());
    state.save_identity({"https://x", "host_1", "key", "eu", 5000});
    CHECK(state.is_enrolled());
    CHECK(state.identity().host_id == "host_1");
    CHECK(state.highest_epoch() == 0);
    state.save_highest_epoch(17);
    CHECK(state.highest_epoch() == 17);
    CHECK_FALSE(state.acknowledged_heartbeat("boot-a"));
    state.save_acknowledged_heartbeat("boot-a", {123, -4});
    CHECK(state.acknowledged_heartbeat("boot-a") == StateFolder::Acknowledged{123, -4});
    CHECK_FALSE(state.acknowledged_heartbeat("boot-b"));
    CHECK(state.log_position(lease_id) == LogPosition{});
    state.save_log_position(lease_id, {3, 99, {4, 5}});
    CHECK(state.log_position(lease_id) == LogPosition{3, 99, {4, 5}});
    for (const LogPosition& position :
         {LogPosition{7, 120, {}, 90, 100}, LogPosition{7, 120, {8}, 90, 0}}) {
        state.save_log_position(lease_id, position);
        CHECK(state.log_position(lease_id) == position);
    }
}

TEST_CASE("records are found again, and one that is broken hides no other") {
    const TemporaryFolder folder;
    const StateFolder state(folder.path());
    LeaseRecord record;
    record.desired.lease_id = lease_id;
    record.container_id = "c0";
    CHECK_FALSE(state.has_record(lease_id));
    state.save_record(record, false);
    CHECK(state.has_record(lease_id));
    CHECK(mode_of(state.lease_folder(lease_id) / "record.json") == 0600);
    record.container_id = "c1";
    state.save_record(record);
    const std::string broken = "lease_00000000000000000000000002";
    std::filesystem::create_directories(state.lease_folder(broken));
    std::ofstream(state.lease_folder(broken) / "record.json") << "{";
    std::vector<std::string> unreadable;
    const auto records = state.load_records(unreadable);
    REQUIRE(records.size() == 1);
    CHECK(records[0] == record);
    CHECK(unreadable.size() == 1);
    state.forget(lease_id);
    CHECK_FALSE(state.has_record(lease_id));
    CHECK(state.load_records(unreadable).empty());
}

TEST_CASE("a lease id that is no lease id never becomes a path") {
    const TemporaryFolder folder;
    const StateFolder state(folder.path());
    CHECK_THROWS_AS(state.lease_folder("../../etc"), std::runtime_error);
    CHECK_THROWS_AS(state.lease_folder("lease_0000000000000000000000000/"), std::runtime_error);
}

TEST_CASE("one agent at a time has the folder") {
    const TemporaryFolder folder;
    StateFolder first(folder.path());
    first.lock();
    StateFolder second(folder.path());
    CHECK_THROWS_AS(second.lock(), std::runtime_error);
}

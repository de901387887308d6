#include "agent/lease_json.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace fallow::agent;

namespace {

const char* const reply = R"({
  "version": "12-7", "epoch": 12, "server_time": "2026-01-02T03:04:05.000Z",
  "leases": [{
    "lease_id": "lease_00000000000000000000000001", "lease_epoch": 11, "want": "stop", "stop_reason": "outbid",
    "grace_ms": 2500, "attempt": 2, "job_id": "job_1",
    "spec": {"image": "busybox", "command": ["sh", "-c", "true"], "env": {"A": "b"},
             "inputs": [{"path": "in.txt", "artifact_id": "artifact_1"}], "outputs": ["out.txt"],
             "max_duration_ms": 60000, "memory_bytes": 1, "cpu_millis": 2, "pids_max": 3, "disk_bytes": 4,
             "checkpoint": {"path": "saved", "interval_ms": 5000, "bytes_max": 6}, "network": "gang"},
    "cards": [{"card_id": "card_1", "uuid": "GPU-1", "backend": "nvml", "index": 3, "device_class": "gpu"}],
    "nonce": "0123456789abcdef0123456789abcdef", "usage_sequence": 4,
    "paid_until": "2026-01-02T03:05:05.250Z", "run_until": null, "max_duration_ms": 60000,
    "pull_deadline": "2026-01-02T03:24:05.000Z", "start_deadline": "2026-01-02T03:06:05.000Z",
    "usage_interval_ms": 5000, "fence_ms": 610000, "reclaim_notice_ms": 90000, "price_micros_per_hour": 2500000, "thousandths": 250,
    "environment": {"FALLOW_THOUSANDTHS": "250"}, "egress_bytes_max": 1048576,
    "gang": {"rank": 1, "hosts": 2,
             "members": [{"rank": 0, "public_key": "k0", "endpoint": "198.41.0.4:51820"}]}
  }, {
    "lease_id": "lease_00000000000000000000000002", "lease_epoch": 12, "want": "run", "stop_reason": null,
    "grace_ms": 0, "attempt": 1, "job_id": null, "spec": null, "cards": [], "nonce": "", "usage_sequence": 0,
    "paid_until": null, "run_until": null, "max_duration_ms": null, "pull_deadline": null,
    "start_deadline": null, "usage_interval_ms": 30000
  }]})";

/// The reply's server_time, on the server's clock.
constexpr std::int64_t server_ms = 1'767'323'045'000;
/// Said and read at 500 s of the boot clock.
constexpr Exchanged read_at_500s = {500'000, 500'000, server_ms - 500'000};

}  // namespace

TEST_CASE("the desired state's moments become moments of the boot clock") {
    const Desired desired = parse_desired(reply, read_at_500s);
    CHECK(desired.version == "12-7");
    CHECK(desired.epoch == 12);
    REQUIRE(desired.leases.size() == 2);
    const DesiredLease& lease = desired.leases[0];
    CHECK_FALSE(lease.run);
    CHECK(lease.stop_reason == "outbid");
    CHECK(lease.grace_until_boot_ms == 502'500);
    CHECK(lease.paid_until_boot_ms == 560'250);
    CHECK_FALSE(lease.run_until_boot_ms);
    CHECK(lease.max_duration_ms == 60'000);
    CHECK(lease.usage_sequence == 4);
    CHECK(lease.fence_ms == 610'000);
    CHECK(desired.leases[1].fence_ms == 10'000);
    CHECK(lease.reclaim_notice_ms == 90'000);
    CHECK(lease.price_micros_per_hour == 2'500'000);
    CHECK(lease.thousandths == 250);
    CHECK(lease.egress_bytes_max == 1'048'576);
    CHECK_FALSE(desired.leases[1].egress_bytes_max);
    REQUIRE(lease.spec);
    CHECK(lease.spec->command == std::vector<std::string>{"sh", "-c", "true"});
    CHECK(lease.spec->inputs == std::vector<JobInput>{{"in.txt", "artifact_1"}});
    CHECK(lease.spec->checkpoint == CheckpointSpec{"saved", 5000, 6});
    CHECK(lease.spec->has_gang_network);
    REQUIRE(lease.gang);
    CHECK(*lease.gang == Gang{1, 2, {{0, "k0", "198.41.0.4:51820"}}});
    CHECK_FALSE(lease.gang->is_whole());
    CHECK_FALSE(desired.leases[1].gang);
    REQUIRE(lease.cards.size() == 1);
    CHECK(lease.cards[0].uuid == "GPU-1");
    CHECK(lease.environment.at("FALLOW_THOUSANDTHS") == "250");
    CHECK_FALSE(desired.leases[1].spec);
    CHECK(desired.leases[1].environment.empty());
    CHECK(desired.leases[1].job_id.empty());
}

TEST_CASE("a reply that was read late was said when the server's clock stood there") {
    struct Row {
        const char* situation;
        Exchanged when;
        std::int64_t grace_until;
    };
    const Row rows[] = {
        {"the agent stood still for a minute", {499'900, 560'000, server_ms - 500'000}, 502'500},
        {"the offset is off by a day: not before it was asked", {499'900, 560'000, server_ms}, 502'400},
        {"and not after it was read", {499'900, 560'000, server_ms - 90'000'000}, 562'500},
    };
    for (const Row& row : rows) {
        INFO(row.situation);
        const Desired desired = parse_desired(reply, row.when);
        CHECK(desired.leases[0].grace_until_boot_ms == row.grace_until);
        CHECK(desired.asked_boot_ms == 499'900);
    }
}

TEST_CASE("a reply in another form is refused") {
    CHECK_THROWS_AS(parse_desired("[]", {}), std::runtime_error);
    CHECK_THROWS_AS(parse_desired(R"({"version":"1","epoch":1,"server_time":"soon","leases":[]})", {}),
                    std::runtime_error);
    CHECK_THROWS_AS(parse_desired("{", {}), std::runtime_error);
}

TEST_CASE("a record comes back from disk as it was written") {
    LeaseRecord record;
    record.desired = parse_desired(reply, read_at_500s).leases[0];
    record.boot_id = "boot";
    record.outputs = {"out.txt"};
    record.container_id = "c1";
    record.connected = GENERATE(false, true);
    record.started = true;
    record.started_boot_ms = 1;
    record.stop_cause = StopCause::paid_until;
    record.terminated_boot_ms = 2;
    record.kill_sent = true;
    record.paused_boot_ms = 3;
    record.reclaim_until_boot_ms = 10;
    record.reclaim_reported = true;
    record.exit = ContainerExit{137, true, false};
    record.failure = LeaseFailure{"start_failed", "because"};
    record.logs_drained = record.outputs_uploaded = record.removed = record.accepted = true;
    record.running_reported = record.final_usage_stated = record.exit_reported = true;
    record.failure_reported = record.gone_reported = true;
    record.meter = {4, 5, true};
    record.nonce = "n";
    record.usage_sequence = 6;
    record.stated_ms = 7;
    record.usage_stated_boot_ms = 8;
    record.paid_until_boot_ms = 9;
    record.egress_bytes = 11;
    record.gang_public_key = "k1";
    record.gang_port = 12;
    record.gang_endpoint = "198.41.0.5:12";
    record.gang_reported = true;
    record.desired.spec->restart = RestartSpec{{75}, 3, 1000};
    record.restart = AwaitedRestart{{75, false, false, true}, 13, 14, "fallow: …\n", true};
    record.restarts = 2;
    record.restarts_reported = 1;
    record.earlier_ms = 15;
    record.oom_kills = 16;
    CHECK(parse_record(encode_record(record)) == record);
    CHECK(parse_record(encode_record(LeaseRecord{})) == LeaseRecord{});
    CHECK_THROWS_AS(parse_record("{}"), std::runtime_error);
}

TEST_CASE("a container of an agent that noted no connection was connected before it was noted") {
    LeaseRecord record;
    const bool has_container = GENERATE(false, true);
    if (has_container) record.container_id = "c1";
    auto older = nlohmann::json::parse(encode_record(record));
    older.erase("connected");
    CHECK(parse_record(older.dump()).connected == has_container);
}

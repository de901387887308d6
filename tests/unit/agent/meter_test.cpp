#include "agent/meter.hpp"

#include <catch2/catch.hpp>

#include "agent/usage.hpp"

using namespace fallow::agent;

TEST_CASE("only time between resume and pause counts") {
    Meter meter;
    CHECK(meter.read(1000) == 0);
    meter.resume(1000);
    CHECK(meter.at(1500) == 500);
    CHECK(meter.read(1500) == 500);
    meter.pause(2000);
    CHECK(meter.read(9000) == 1000);
    meter.resume(9000);
    meter.resume(9500);
    CHECK(meter.read(9600) == 1600);
    CHECK(meter.read(9500) == 1600);
}

TEST_CASE("what was counted is not counted again when the pause and the thaw are heard of late") {
    Meter meter;
    meter.resume(1000);
    CHECK(meter.read(5000) == 4000);
    meter.pause(2000);   // frozen before the last reading
    meter.resume(4000);  // and thawed before it
    CHECK(meter.read(6000) == 5000);
}

TEST_CASE("a meter taken from disk goes on as if nothing had happened") {
    Meter meter{700, 5000, true};
    CHECK(meter.read(6000) == 1700);
}

TEST_CASE("the engine's own span lowers the count, not below what was stated, and never raises it") {
    Meter late{10'000, 0, false};
    late.settle(9800, 9000);
    CHECK(late.accumulated_ms == 9800);
    late.settle(5000, 9000);
    CHECK(late.accumulated_ms == 9000);
    late.settle(99'000, 0);
    CHECK(late.accumulated_ms == 9000);
}

TEST_CASE("a usage statement is these exact octets") {
    LeaseRecord record;
    record.desired.lease_id = "lease_x";
    record.desired.lease_epoch = 12;
    record.container_id = "c1";
    record.boot_id = "b1";
    record.nonce = "0123";
    record.usage_sequence = 2;
    record.egress_bytes = 789;
    CHECK(usage_statement(record, 123456, false) ==
          "fallow-usage-v2\nlease: lease_x\nepoch: 12\ncontainer: c1\nboot: b1\nnonce: 0123\nsequence: 3\n"
          "running_ms: 123456\negress_bytes: 789\nfinal: false\n");
    CHECK(usage_statement(record, 1, true).ends_with("running_ms: 1\negress_bytes: 789\nfinal: true\n"));
}

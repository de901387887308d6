// NVIDIA's cards, read through the stand-in library by the agent's own child, and shown as DCGM's exporter
// shows them.
#include "agent/gpu_watch.hpp"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

#include "agent/metrics_page.hpp"
#include "fake_cards.hpp"
#include "gpu_fixture.hpp"

using namespace fallow::agent;
using fallow::agent::testing::fake_nvml;
using fallow::agent::testing::first_reading;
using fallow::agent::testing::TemporaryFolder;
using fallow::agent::testing::until;

namespace {

GpuWatchOptions options_of(const std::string& library) {
    GpuWatchOptions options;
    options.program = fallow::testing::bin_dir() + "/fallow-agent";
    options.nvml_library = library;
    options.period_ms = 100;
    return options;
}

std::string lines_with(const std::string& page, const std::string& name) {
    std::string found;
    for (std::size_t at = 0; at < page.size();) {
        const std::size_t end = page.find('\n', at);
        const std::string line = page.substr(at, end - at);
        if (line.find(name) != line.npos) found += line + "\n";
        at = end + 1;
    }
    return found;
}

}  // namespace

TEST_CASE("a card is read with what its driver tells, and without what it does not") {
    const TemporaryFolder folder;
    GpuWatch watch(options_of(fake_nvml(folder, "-DFAKE_USED_BYTES='(9ull<<30)' -DFAKE_XID=79")));
    const auto readings = first_reading(watch);
    REQUIRE(readings.size() == 2);  // the second of three is lost from the bus
    const GpuReading& one = readings[0];
    CHECK(one.index == 0);
    CHECK(one.uuid == "GPU-one");
    CHECK(one.name == "NVIDIA Test Card");
    CHECK(one.pci_bus_id == "00000000:41:00.0");
    CHECK(one.value(dcgm::gpu_util) == 73);
    CHECK(one.value(dcgm::mem_copy_util) == 9);
    CHECK(one.value(dcgm::enc_util) == 11);
    CHECK_FALSE(one.value(dcgm::dec_util));
    CHECK(one.value(dcgm::fb_used) == 9LL << 30);
    CHECK(one.value(dcgm::fb_total) == 80LL << 30);
    CHECK(one.value(dcgm::power) == 93'400);
    CHECK(one.value(dcgm::energy) == 5'000'000'000);
    CHECK(one.value(dcgm::gpu_temp) == 41);
    CHECK_FALSE(one.value(dcgm::memory_temp));
    CHECK(one.value(dcgm::sm_clock) == 345);
    CHECK(one.value(dcgm::mem_clock) == 1593);
    CHECK(one.value(dcgm::xid) == 79);
    CHECK(one.value(dcgm::ecc_sbe_vol) == 3);
    CHECK(one.value(dcgm::ecc_dbe_agg) == 0);
    CHECK(one.value(dcgm::pcie_replay) == 4);
    const GpuReading& three = readings[1];
    CHECK(three.index == 2);
    CHECK_FALSE(three.value(dcgm::gpu_util));
    CHECK_FALSE(three.value(dcgm::ecc_sbe_vol));
    CHECK(three.value(dcgm::gpu_temp) == 41);
    CHECK(parse_readings(encode_readings(readings)) == readings);
}

TEST_CASE("an instance of a divided card has its own memory, and nothing that the card's tenants share") {
    const TemporaryFolder folder;
    GpuWatch watch(options_of(fake_nvml(folder, "-DFAKE_MIG=2")));
    const auto readings = first_reading(watch);
    REQUIRE(readings.size() == 3);
    CHECK(readings[0].uuid == "MIG-1");
    CHECK(readings[0].mig_profile == "1g.5gb");
    CHECK(readings[0].value(dcgm::fb_total) == 5LL << 30);
    CHECK_FALSE(readings[0].value(dcgm::gpu_util));
    CHECK_FALSE(readings[0].value(dcgm::power));
    CHECK(readings[1].uuid == "MIG-2");
    CHECK(readings[2].uuid == "GPU-three");
}

TEST_CASE("a child that says nothing is ended and tried again, and nothing is made up meanwhile") {
    const TemporaryFolder folder;
    const auto script = folder.path() / "hangs";
    const auto starts = folder.path() / "starts";
    std::ofstream(script) << "#!/bin/sh\necho start >>" << starts.string() << "\nexec sleep 1000\n";
    std::filesystem::permissions(script, std::filesystem::perms::owner_all);
    GpuWatchOptions options = options_of("/no/such/library.so");
    options.program = script.string();
    options.limits.silence_ms = 50;
    options.retry_ms = 1;
    GpuWatch watch(options);
    watch.want(true);
    until("it is started for the third time",
          [&] { return std::filesystem::exists(starts) && std::filesystem::file_size(starts) >= 3 * 6; });
    CHECK(watch.latest().empty());
    CHECK(watch.drain().empty());
}

TEST_CASE("there is no reading when nobody wants one, and none without the library") {
    const TemporaryFolder folder;
    const std::string library = fake_nvml(folder, "");
    GpuWatch idle(options_of(library));
    GpuWatch without(options_of("/no/such/library.so"));
    without.want(true);
    GpuWatch watch(options_of(library));
    CHECK(first_reading(watch).size() == 2);
    CHECK_FALSE(watch.drain().empty());
    watch.want(false);
    CHECK(idle.latest().empty());
    CHECK(without.latest().empty());
}

TEST_CASE("what is no reading is no reading") {
    for (const char* line :
         {"", "{}", "[1]", "[{}]", R"([{"index":0,"uuid":"a","name":"b"}])", "{\"cards\":"})
        CHECK_FALSE(parse_readings(line));
    CHECK(parse_readings("[]")->empty());
}

TEST_CASE("the page has DCGM's names, units and labels, and says which lease has the card") {
    MetricsMoment moment;
    moment.hostname = "node \"7\"";
    GpuReading one;
    one.index = 0;
    one.uuid = "GPU-one";
    one.name = "NVIDIA H100";
    one.pci_bus_id = "00000000:41:00.0";
    one.values = {{"DCGM_FI_DEV_GPU_UTIL", 73},
                  {"DCGM_FI_DEV_FB_USED", (9LL << 30) + 5},
                  {"DCGM_FI_DEV_POWER_USAGE", 93'450},
                  {"DCGM_FI_DEV_XID_ERRORS", 0}};
    GpuReading part = one;
    part.uuid = "MIG-1";
    part.mig_profile = "1g.10gb";
    part.values = {{"DCGM_FI_DEV_FB_USED", 5 << 20}};
    moment.gpus = {one, part};
    moment.leases = {
        {"GPU-one", "lease_1", "job_1"}, {"GPU-one", "lease_2", ""}, {"MIG-1", "lease_3", "job_3"}};
    moment.minutes_dropped = 4;
    const std::string page = metrics_page(moment);
    CHECK(lines_with(page, "GPU_UTIL") ==
          "# HELP DCGM_FI_DEV_GPU_UTIL GPU utilization (in %).\n"
          "# TYPE DCGM_FI_DEV_GPU_UTIL gauge\n"
          "DCGM_FI_DEV_GPU_UTIL{gpu=\"0\",UUID=\"GPU-one\",pci_bus_id=\"00000000:41:00.0\",device="
          "\"nvidia0\","
          "modelName=\"NVIDIA H100\",Hostname=\"node \\\"7\\\"\",fallow_lease=\"lease_1,lease_2\","
          "fallow_job=\"job_1\"} 73\n");
    CHECK(
        lines_with(page, "FB_USED{") ==
        "DCGM_FI_DEV_FB_USED{gpu=\"0\",UUID=\"GPU-one\",pci_bus_id=\"00000000:41:00.0\",device=\"nvidia0\","
        "modelName=\"NVIDIA H100\",Hostname=\"node \\\"7\\\"\",fallow_lease=\"lease_1,lease_2\","
        "fallow_job=\"job_1\"} 9216\n"
        "DCGM_FI_DEV_FB_USED{gpu=\"0\",UUID=\"MIG-1\",pci_bus_id=\"00000000:41:00.0\",device=\"nvidia0\","
        "modelName=\"NVIDIA H100\",GPU_I_PROFILE=\"1g.10gb\",Hostname=\"node \\\"7\\\"\","
        "fallow_lease=\"lease_3\",fallow_job=\"job_3\"} 5\n");
    CHECK(lines_with(page, "POWER_USAGE{").ends_with("} 93.450\n"));
    CHECK(lines_with(page, "XID_ERRORS{").ends_with("} 0\n"));
    CHECK(lines_with(page, "_TEMP").empty());
    CHECK(lines_with(page, "fallow_guest").empty());
    CHECK(lines_with(page, "dropped_total 4") == "fallow_telemetry_minutes_dropped_total 4\n");
}

TEST_CASE("a guest on a processor is shown under names of our own") {
    MetricsMoment moment;
    moment.hostname = "node";
    moment.guests = {{1, "CPU-1", "Some Processor", "lease_1", "job_1",
                      ContainerUse{.cpu_ns = 1'234'567'890, .memory_used_bytes = 42}, 1500, 1 << 30}};
    const std::string page = metrics_page(moment);
    const std::string labels =
        "{gpu=\"1\",UUID=\"CPU-1\",modelName=\"Some Processor\",device_class=\"cpu\",source=\"cgroup\","
        "Hostname=\"node\",fallow_lease=\"lease_1\",fallow_job=\"job_1\"} ";
    CHECK(lines_with(page, "seconds_total{") == "fallow_guest_cpu_seconds_total" + labels + "1.234567\n");
    CHECK(lines_with(page, "limit_cores{") == "fallow_guest_cpu_limit_cores" + labels + "1.500\n");
    CHECK(lines_with(page, "used_bytes{") == "fallow_guest_memory_used_bytes" + labels + "42\n");
    CHECK(lines_with(page, "limit_bytes{") ==
          "fallow_guest_memory_limit_bytes" + labels + std::to_string(1 << 30) + "\n");
    CHECK(page.find("DCGM") == page.npos);
}

// Drivers that hang, crash, lose a card or tell an error: the agent goes on, and says what it saw.
#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "agent/card_json.hpp"
#include "agent/card_keeper.hpp"
#include "agent/card_probe.hpp"
#include "agent/state.hpp"
#include "agent/watched_process.hpp"
#include "fake_cards.hpp"

using namespace fallow::agent;
using fallow::agent::testing::fake_nvml;
using fallow::agent::testing::fake_opencl;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr const char* no_library = "/no/such/library.so";

ProbeOptions options_of(const std::string& nvml, const std::string& opencl) {
    ProbeOptions options;
    options.program = fallow::testing::bin_dir() + "/fallow-agent";
    options.nvml_library = nvml;
    options.cuda_library = no_library;
    options.opencl_library = opencl;
    options.cpu_bytes_max = 1 << 20;
    return options;
}

bool nobody(const CardFacts&) {
    return false;
}

const std::string claims_64 = "-DFAKE_CLAIMED_MIB=64 ";
const std::string nvml_64 = "-DFAKE_VRAM_BYTES='(64ull<<20)' -DFAKE_NAME='\"Fallow Test Card\"' ";

}  // namespace

TEST_CASE("a watched process ends in one of few ways, and never holds its caller") {
    const auto run = [](const std::string& script, const WatchLimits& limits) {
        return run_watched({"/bin/sh", "-c", script}, limits, {});
    };
    const WatchedProcess good = run("echo one; echo two; exit 3", {});
    CHECK(good.end == ProcessEnd::exited);
    CHECK(good.code == 3);
    CHECK(good.output == "one\ntwo\n");
    const WatchedProcess crashed = run("kill -SEGV $$", {});
    CHECK(crashed.end == ProcessEnd::crashed);
    CHECK(describe(crashed, {}) == "crashed with signal 11");
    CHECK(run("exec sleep 1000", {.silence_ms = 50, .total_ms = 60'000}).end == ProcessEnd::silent);
    CHECK(run("exec yes", {.silence_ms = 60'000, .total_ms = 60'000, .output_bytes_max = 1000}).end ==
          ProcessEnd::too_much);
    CHECK(run("while true; do echo; done", {.silence_ms = 60'000, .total_ms = 50}).end ==
          ProcessEnd::too_long);
    CHECK_THROWS(run_watched({"/no/such/program"}, {}, {}));
    std::stop_source stop;
    stop.request_stop();
    CHECK(run_watched({"/bin/sleep", "1000"}, {}, stop.get_token()).end == ProcessEnd::stopped);
}

TEST_CASE("NVML hangs: its cards are left out, the others are found") {
    const TemporaryFolder folder;
    ProbeOptions options = options_of(fake_nvml(folder, "-DFAKE_HANG"), "libOpenCL.so.1");
    options.find_limits = {.silence_ms = 10'000, .total_ms = 60'000};
    const FoundCards found = CardProbe(options).find({});
    CHECK(found.problems == std::vector<std::string>{"NVML did not answer for 10000 ms"});
    REQUIRE_FALSE(found.cards.empty());
    CHECK(found.cards[0].backend == "opencl");
}

TEST_CASE("NVML has lost a card: the other is found, with what it states") {
    const TemporaryFolder folder;
    const FoundCards found = CardProbe(options_of(fake_nvml(folder, nvml_64), no_library)).find({});
    CHECK(found.problems.empty());
    REQUIRE(found.cards.size() == 2);
    CHECK(found.cards[0].uuid == "GPU-one");
    CHECK(found.cards[0].claims.nvml_bytes == 64 << 20);
    CHECK(found.cards[0].claims.opencl_uuid.empty());
    CHECK(found.cards[1].uuid == "GPU-three");
}

TEST_CASE("the processes on cards are asked of NVML; when that hangs none are known") {
    const TemporaryFolder folder;
    const std::string script = (folder.path() / "processes").string();
    std::ofstream(script) << "c 999999999 7\n";
    const std::string defined = "-DFAKE_PROCESSES='\"" + script + "\"' ";
    const auto processes = CardProbe(options_of(fake_nvml(folder, defined), no_library)).processes({});
    REQUIRE(processes.size() == 1);
    CHECK(processes.at("GPU-one") == std::vector<CardProcess>{{.pid = 999'999'999, .used_bytes = 7}});
    ProbeOptions hanging = options_of(fake_nvml(folder, defined + "-DFAKE_HANG"), no_library);
    hanging.find_limits = {.silence_ms = 4000, .total_ms = 60'000};
    CHECK(CardProbe(hanging).processes({}).empty());
    CHECK(CardProbe(options_of(no_library, no_library)).processes({}).empty());
}

TEST_CASE("a device that hangs or crashes is refused, and so is one with an error of its driver") {
    const TemporaryFolder folder;
    struct Row {
        std::string opencl;
        std::string nvml;
        std::string reason;
    };
    const Row row = GENERATE_REF(
        Row{claims_64 + "-DFAKE_HANG", nvml_64, "the measurement did not answer for 4000 ms"},
        Row{claims_64 + "-DFAKE_CRASH", nvml_64, "the measurement crashed with signal 6"},
        Row{claims_64, nvml_64 + "-DFAKE_XID=79", "the driver reported Xid 79 while it was measured"},
        Row{claims_64, nvml_64 + "-DFAKE_FALLS_OFF",
            "the measurement failed: the card is lost from the bus"},
        Row{claims_64, "-DFAKE_VRAM_BYTES='(64ull<<20)' -DFAKE_NAME='\"NVIDIA H100\"'",
            "NVML names it NVIDIA H100, and OpenCL Fallow Test Card"},
        Row{claims_64, "-DFAKE_VRAM_BYTES='(96ull<<20)' -DFAKE_NAME='\"Fallow Test Card\"'",
            "NVML states 96.0 MiB, and 63.0 MiB were proved"},
        Row{claims_64, nvml_64, ""});
    INFO(row.reason);
    ProbeOptions options = options_of(fake_nvml(folder, row.nvml), fake_opencl(folder, row.opencl));
    if (row.opencl.ends_with("HANG")) options.verify_limits.silence_ms = 4000;
    CardKeeper keeper({options, folder.path() / "cards.json", 1000, true});
    const FoundCards found = keeper.take(nobody, {});
    REQUIRE(found.cards.size() == 2);
    REQUIRE(found.cards[0].verification);
    CHECK(found.cards[0].verification->reason == row.reason);
    CHECK(found.cards[0].capacity.has_value() == row.reason.empty());
    CHECK_FALSE(found.cards[1].verification);
    CHECK(CardKeeper::kept(folder.path() / "cards.json") == found.cards);
}

TEST_CASE("a card is measured when it is due, free of leases, and free of others' memory") {
    const TemporaryFolder folder;
    const std::string opencl = fake_opencl(folder, claims_64);
    const auto cards_with = [&](const std::string& nvml, auto is_leased) {
        return CardKeeper({options_of(nvml, opencl), folder.path() / "cards.json", 1 << 30, true})
            .take(is_leased, {})
            .cards;
    };
    const std::string used = fake_nvml(folder, nvml_64 + "-DFAKE_USED_BYTES='(8<<20)'");
    CHECK_FALSE(cards_with(used, nobody).at(0).verification);
    const std::string idle = fake_nvml(folder, nvml_64);
    CHECK_FALSE(cards_with(idle, [](const CardFacts&) { return true; }).at(0).verification);
    const auto verified = cards_with(idle, nobody).at(0).verification;
    REQUIRE(verified);
    CHECK(verified->passed);
    CHECK(cards_with(idle, nobody).at(0).verification == verified);
}

TEST_CASE("a lease that begins ends the measurement of its card") {
    const TemporaryFolder folder;
    const std::string opencl = fake_opencl(folder, claims_64 + "-DFAKE_HANG");
    CardKeeper keeper({options_of(fake_nvml(folder, nvml_64), opencl), {}, 1000, true});
    std::thread lease;
    const FoundCards found = keeper.take(
        [&](const CardFacts& card) {
            // Asked when the measurement is about to begin: the lease comes in just after the answer.
            lease = std::thread([&keeper, uuid = card.uuid] { keeper.yield({uuid}); });
            return false;
        },
        {});
    lease.join();
    CHECK_FALSE(found.cards.at(0).verification);
}

TEST_CASE("a card that is away for a while does not shake off its refusal") {
    const TemporaryFolder folder;
    const auto file = folder.path() / "cards.json";
    CardFacts refused;
    refused.uuid = "GPU-gone";
    take_verification(refused, not_measured("the measurement crashed with signal 6", 1000));
    write_file_atomically(file, encode_cards({refused}));
    CardKeeper keeper({options_of(no_library, no_library), file, 1000, true});
    CHECK(keeper.take(nobody, {}).cards.empty());
    CHECK(CardKeeper::kept(file) == std::vector{refused});
}

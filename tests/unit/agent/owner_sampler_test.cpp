// How busy the owner's cards are: NVML through a stand-in library, the rest as this machine really has it.
#include "agent/owner_sampler.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>

#include "agent/clock.hpp"
#include "fake_cards.hpp"
#include "support/until.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr const char* fake_nvml = R"(
#include <string.h>
static int started;
int nvmlInit_v2(void) { started = 1; return 0; }
int nvmlShutdown(void) { started = 0; return 0; }
int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
    *device = (void*)(strcmp(uuid, "GPU-one") == 0 ? 1L : 2L);
    return strncmp(uuid, "GPU-", 4) == 0 ? 0 : 6;
}
int nvmlDeviceGetUtilizationRates(void* device, struct { unsigned int gpu, memory; }* rates) {
    rates->gpu = 73;
    rates->memory = 9;
    return started && device == (void*)1L ? 0 : 15; /* the other one is lost */
}
)";

CardFacts a_card(const std::string& uuid, const std::string& backend, const std::string& device_class) {
    CardFacts card;
    card.uuid = uuid;
    card.backend = backend;
    card.device_class = device_class;
    return card;
}

}  // namespace

TEST_CASE("NVML says how busy a card is; a lost one is not known") {
    const TemporaryFolder folder;
    const std::string source = (folder.path() / "fake.c").string();
    const std::string library = (folder.path() / "libnvidia-ml.so.1").string();
    std::ofstream(source) << fake_nvml;
    REQUIRE(std::system(("cc -w -shared -fPIC -o " + library + " " + source).c_str()) == 0);
    UseSampler sampler(library);
    const auto percents =
        sampler.percents({a_card("GPU-one", "nvml", "gpu"), a_card("GPU-two", "nvml", "gpu"),
                          a_card("other", "nvml", "gpu")});
    CHECK(percents == std::map<std::string, std::int64_t>{{"GPU-one", 73}});
    UseSampler without("/no/such/library.so");
    CHECK(without.percents({a_card("GPU-one", "nvml", "gpu")}).empty());
}

TEST_CASE("who computes on a card is its owner's, but for guests, the agent, and what has ended") {
    const TemporaryFolder folder;
    const std::string script = (folder.path() / "processes").string();
    const std::string library =
        fallow::agent::testing::fake_nvml(folder, "-DFAKE_PROCESSES='\"" + script + "\"'");
    UseSampler sampler(library);
    const std::vector<CardFacts> cards = {a_card("GPU-one", "nvml", "gpu"),
                                          a_card("GPU-two", "nvml", "gpu"),
                                          a_card("CPU-1", "opencl", "cpu")};
    const std::string first = "process 1 (" + program_of(1) + ")";
    struct Row {
        std::string processes;
        std::map<std::string, std::string> users;
    };
    const std::vector<Row> rows = {{"", {}},
                                   {"c 1 5\n", {{"GPU-one", first}}},
                                   {"c 1 5\nc 999999999 7\n", {{"GPU-one", first}}},
                                   {"g 1 5\n", {}},
                                   {"c 999999999 7\n", {}},
                                   {"c " + std::to_string(::getpid()) + " 5\n", {}}};
    for (const Row& row : rows) {
        INFO(row.processes);
        std::ofstream(script) << row.processes;
        CHECK(sampler.users(cards, {}) == row.users);
    }
    CHECK(UseSampler("/no/such/library.so").users(cards, {}).empty());
}

TEST_CASE("the processors' time") {
    const auto time = parse_processor_time("cpu  10 20 30 400 50 6 7 8 0 0\ncpu0 1 2 3 4\n");
    REQUIRE(time);
    CHECK(time->busy == 81);
    CHECK(time->all == 531);
    CHECK_FALSE(parse_processor_time("cpu0 1 2 3 4 5 6 7 8\n"));
    CHECK_FALSE(parse_processor_time("cpu 1 2 3\n"));
    CHECK_FALSE(parse_processor_time(""));
}

TEST_CASE("a CPU device is as busy as the processors were since the reading before") {
    UseSampler sampler("/no/such/library.so");
    const std::vector<CardFacts> cards = {a_card("CPU-1", "opencl", "cpu"), a_card("X", "opencl", "gpu")};
    CHECK(sampler.percents(cards).empty());
    // The kernel counts in ticks: this one's own work lets some pass.
    std::map<std::string, std::int64_t> percents;
    for (const std::int64_t deadline = boot_clock_ms() + 60'000; percents.empty();) {
        REQUIRE(boot_clock_ms() < deadline);
        percents = sampler.percents(cards);
    }
    REQUIRE(percents.size() == 1);
    CHECK(percents.at("CPU-1") >= 0);
    CHECK(percents.at("CPU-1") <= 100);
}

TEST_CASE("programs are known by their own name and by their script's, those of containers are left out") {
    const auto programs = running_programs({});
    CHECK(programs.contains("agent_unit_tests"));
    // A control group that every process is in.
    CHECK(running_programs({"/"}).empty());

    const TemporaryFolder folder;
    const std::string script = (folder.path() / "fallow-owner-job.sh").string();
    std::ofstream(script) << "echo up; read line\n";
    std::FILE* const pipe = ::popen(("sh -e " + script + " >" + script + ".out; true").c_str(), "w");
    REQUIRE(pipe != nullptr);
    fallow::testing::until("the script runs", [&] {
        return std::filesystem::exists(script + ".out") && std::filesystem::file_size(script + ".out") != 0;
    });
    CHECK(running_programs({}).contains("fallow-owner-job.sh"));
    ::pclose(pipe);
    CHECK_FALSE(running_programs({}).contains("fallow-owner-job.sh"));
}

// What a guest left in a card's memory is gone after the scrub, and where it cannot be, that is told.
#include "agent/memory_scrub.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>
#include <iterator>

#include "agent/card_probe.hpp"
#include "agent/opencl.hpp"
#include "fake_cards.hpp"

using namespace fallow::agent;
using fallow::agent::testing::cuda_memory;
using fallow::agent::testing::cuda_uuid;
using fallow::agent::testing::fake_cuda;
using fallow::agent::testing::fake_nvml;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr const char* no_library = "/no/such/library.so";
constexpr std::int64_t mib = 1 << 20;
const std::string claims_64 = "-DFAKE_CLAIMED_MIB=64 ";
const std::string secret = "the weights of a guest's model; ";

/// All of the device's memory, as a guest has left it.
void plant_secret(const TemporaryFolder& folder, std::int64_t bytes) {
    std::ofstream file(cuda_memory(folder), std::ios::binary);
    for (std::int64_t done = 0; done < bytes; done += static_cast<std::int64_t>(secret.size()))
        file << secret;
}

std::string memory_of(const TemporaryFolder& folder) {
    std::ifstream file(cuda_memory(folder), std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

ProbeOptions options_of(const std::string& nvml, const std::string& cuda) {
    ProbeOptions options;
    options.program = fallow::testing::bin_dir() + "/fallow-agent";
    options.nvml_library = nvml;
    options.cuda_library = cuda;
    options.opencl_library = no_library;
    return options;
}

CardFacts a_card() {
    CardFacts card;
    card.uuid = cuda_uuid;
    card.backend = "nvml";
    card.claims.has_cuda = true;
    return card;
}

ScrubResult scrub(const ProbeOptions& options) {
    const auto result = CardProbe(options).scrub(a_card(), {});
    REQUIRE(result);
    return *result;
}

}  // namespace

TEST_CASE("what a guest left in a card's memory is gone, to the last byte") {
    const TemporaryFolder folder;
    plant_secret(folder, 64 * mib);
    const ScrubResult result = scrub(options_of(no_library, fake_cuda(folder, claims_64)));
    CHECK(result == ScrubResult{64 * mib, 63 * mib, ""});
    CHECK(is_scrubbed(result));
    const std::string memory = memory_of(folder);
    CHECK(std::ssize(memory) == 64 * mib);
    CHECK(std::ranges::all_of(memory, [](char octet) { return octet == 0; }));
}

TEST_CASE("memory that somebody holds is not scrubbed, and that is told") {
    const TemporaryFolder folder;
    plant_secret(folder, 64 * mib);
    const std::string cuda = fake_cuda(folder, claims_64 + "-DFAKE_ALLOCATABLE_MIB=60");

    SECTION("by what could be had of it") {
        const ScrubResult result = scrub(options_of(no_library, cuda));
        CHECK(result.problem.empty());
        CHECK(result.scrubbed_bytes == 59 * mib);
        CHECK_FALSE(is_scrubbed(result));
    }
    SECTION("by the process, before anything is touched") {
        const std::string uuid = std::string("-DFAKE_UUID='\"") + cuda_uuid + "\"' ";
        const std::string processes = (folder.path() / "processes").string();
        std::ofstream(processes) << "c 17 1024\nc 18 -1\ng 19 512\n";
        const std::string holds = "-DFAKE_PROCESSES='\"" + processes + "\"'";
        const ScrubResult result = scrub(options_of(fake_nvml(folder, uuid + holds), cuda));
        CHECK(result.problem == "overwriting it failed: other processes (2) hold memory of it");
        CHECK_FALSE(is_scrubbed(result));
        CHECK(memory_of(folder).starts_with(secret));
    }
    CHECK(memory_of(folder).find(secret, 60 * mib) != std::string::npos);
}

TEST_CASE("what is there four times is not scrubbed four times") {
    const TemporaryFolder folder;
    const ScrubResult result =
        scrub(options_of(no_library, fake_cuda(folder, claims_64 + "-DFAKE_BACKED_MIB=16")));
    CHECK(result.reported_bytes == 64 * mib);
    CHECK(result.scrubbed_bytes <= 16 * mib);
    CHECK_FALSE(is_scrubbed(result));
}

TEST_CASE("a driver that fails, hangs, or has no such card scrubs nothing") {
    const TemporaryFolder folder;
    struct Row {
        std::string cuda;
        std::string problem;
    };
    const Row row =
        GENERATE_REF(Row{claims_64 + "-DFAKE_FAILS_AFTER=3",
                         "overwriting it failed: cuCtxSynchronize failed with CUDA_ERROR_ILLEGAL_ADDRESS"},
                     Row{claims_64 + "-DFAKE_HANG", "overwriting it did not answer for 4000 ms"},
                     Row{claims_64 + "-DFAKE_UUID='\"GPU-ffffffff-ffff-ffff-ffff-ffffffffffff\"'",
                         "overwriting it failed: neither CUDA nor OpenCL has the card"});
    INFO(row.cuda);
    ProbeOptions options = options_of(no_library, fake_cuda(folder, row.cuda));
    if (row.cuda.ends_with("HANG")) options.scrub_limits.silence_ms = 4000;
    CHECK(scrub(options) == ScrubResult{0, 0, row.problem});
}

TEST_CASE("a scrub that is stopped says nothing") {
    const TemporaryFolder folder;
    std::stop_source stop;
    stop.request_stop();
    CardProbe probe(options_of(no_library, fake_cuda(folder, claims_64 + "-DFAKE_HANG")));
    CHECK_FALSE(probe.scrub(a_card(), stop.get_token()));
}

TEST_CASE("this machine's OpenCL devices are scrubbed, a processor's within its limit") {
    const auto api = load_opencl("libOpenCL.so.1");
    REQUIRE(api);
    for (const CardFacts& card : opencl_cards(*api)) {
        const FoundDevice found = find_opencl_device(*api, card.uuid, 5 * mib);
        const ScrubResult result = scrub_memory(*found.open(), found.memory_bytes, [] {});
        CHECK(is_scrubbed(result));
        if (card.device_class == "cpu") CHECK(result == ScrubResult{5 * mib, 5 * mib, ""});
    }
}

TEST_CASE("when a card counts as scrubbed") {
    CHECK(is_scrubbed({100 * mib, 97 * mib, ""}));
    CHECK_FALSE(is_scrubbed({100 * mib, 96 * mib, ""}));
    CHECK_FALSE(is_scrubbed({100 * mib, 100 * mib, "other processes (2) hold memory of it"}));
    CHECK_FALSE(is_scrubbed({0, 0, ""}));
}

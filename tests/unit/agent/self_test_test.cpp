// What the self-test says of cards and of this machine, and when it says that something is wrong.
#include <algorithm>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "agent/card_keeper.hpp"
#include "agent/scrub_plan.hpp"
#include "agent/self_test.hpp"
#include "agent/state.hpp"
#include "fake_cards.hpp"

using namespace fallow::agent;
using fallow::agent::testing::fake_nvml;
using fallow::agent::testing::fake_opencl;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr std::int64_t gib = 1LL << 30;

CardFacts a_card() {
    CardFacts card;
    card.uuid = "GPU-1";
    card.product = "NVIDIA H100 80GB HBM3";
    card.device_class = "gpu";
    card.backend = "nvml";
    card.driver_version = "550.1";
    card.pcie_generation = 5;
    card.pcie_width = 16;
    card.claims = {.opencl_uuid = "OCL-1",
                   .opencl_product = card.product,
                   .opencl_bytes = 79 * gib,
                   .nvml_bytes = 80 * gib,
                   .used_bytes = 0};
    return card;
}

Verification a_verification() {
    Measurement measured;
    measured.target_bytes = 79 * gib;
    measured.memory = {78 * gib, 78 * gib};
    measured.bandwidth_bytes_per_s = 2'900'000'000'000;
    measured.fp32_flops = 60'000'000'000'000;
    measured.fp16_flops = 120'000'000'000'000;
    measured.to_device_bytes_per_s = 55'000'000'000;
    measured.from_device_bytes_per_s = 20'000'000'000;
    measured.driver = "cuda";
    return {
        .passed = true, .reason = {}, .remedy = {}, .measured = measured, .at_unix_ms = 1'800'000'000'000};
}

CheckRow row_of(const std::vector<CheckRow>& rows, const std::string& check) {
    const auto found =
        std::find_if(rows.begin(), rows.end(), [&](const CheckRow& row) { return row.check == check; });
    INFO(check);
    REQUIRE(found != rows.end());
    return *found;
}

SelfTestOptions options_of(const std::string& nvml, const std::string& opencl) {
    SelfTestOptions options;
    options.engine_socket = "/no/such/socket";
    options.probe.program = fallow::testing::bin_dir() + "/fallow-agent";
    options.probe.nvml_library = nvml;
    options.probe.cuda_library = "/no/such/library.so";
    options.probe.opencl_library = opencl;
    options.probe.cpu_bytes_max = 1 << 20;
    return options;
}

}  // namespace

TEST_CASE("a measured card stands beside what the catalog and its link promise") {
    CardFacts card = a_card();
    take_verification(card, a_verification());
    const auto rows = card_rows(card);
    CHECK(row_of(rows, "driver").expected == "H100 SXM");
    CHECK(row_of(rows, "verification").measured == "passed at 2027-01-15T08:00:00.000Z");
    CHECK(row_of(rows, "measured through").measured == "CUDA");
    const CheckRow memory = row_of(rows, "memory");
    CHECK(memory.measured == "78.0 GiB proved (stock)");
    CHECK(memory.expected == "97 % of 79.0 GiB; 80.0 GiB as sold");
    CHECK(row_of(rows, "bandwidth").measured == "2900.0 GB/s");
    CHECK(row_of(rows, "bandwidth").expected == "3352.0 GB/s");
    CHECK(row_of(rows, "fp32").measured == "60.00 TFLOPS");
    CHECK(row_of(rows, "to the card").expected == "63.0 GB/s");
    CHECK(row_of(rows, "to the card").verdict == CheckVerdict::fine);
    CHECK(row_of(rows, "from the card").verdict == CheckVerdict::note);
    CHECK_FALSE(row_of(rows, "from the card").remedy.empty());
    CHECK(SelfTest{rows, {}}.is_fine());
}

TEST_CASE("a modified card is called so, and a slow one is worth a look") {
    CardFacts card = a_card();
    card.product = "NVIDIA GeForce RTX 4090 D";
    Verification verification = a_verification();
    verification.measured->memory = {47 * gib, 47 * gib};
    verification.measured->target_bytes = 48 * gib;
    verification.measured->bandwidth_bytes_per_s = 600'000'000'000;
    take_verification(card, verification);
    CHECK(row_of(card_rows(card), "memory").measured == "47.0 GiB proved (modified)");
    CHECK(row_of(card_rows(card), "bandwidth").verdict == CheckVerdict::note);
}

TEST_CASE("a refused card is wrong, with the reason and the remedy") {
    CardFacts card = a_card();
    take_verification(card, not_measured("the measurement crashed with signal 6", 1'800'000'000'000));
    const auto rows = card_rows(card);
    const CheckRow row = row_of(rows, "verification");
    CHECK(row.measured == "refused at 2027-01-15T08:00:00.000Z");
    CHECK_THAT(row.remedy, Catch::StartsWith("the measurement crashed with signal 6: look at dmesg"));
    CHECK_FALSE(SelfTest{rows, {}}.is_fine());
}

TEST_CASE("a card that cannot be measured says why") {
    CardFacts card = a_card();
    CHECK(row_of(card_rows(card), "memory").verdict == CheckVerdict::skipped);
    card.claims.used_bytes = 5 * gib;
    CHECK(row_of(card_rows(card), "memory").measured == "5.0 GiB in use");
    card.claims.opencl_uuid.clear();
    CHECK(row_of(card_rows(card), "memory").measured == "neither CUDA nor OpenCL has it");
    CHECK(row_of(card_rows(card), "memory").verdict == CheckVerdict::wrong);
    card.claims.has_cuda = true;
    CHECK(row_of(card_rows(card), "memory").verdict == CheckVerdict::skipped);
}

TEST_CASE("the whole self-test of a lying card, as a table and as JSON") {
    const TemporaryFolder folder;
    const std::string opencl = fake_opencl(folder, "-DFAKE_CLAIMED_MIB=64 -DFAKE_BACKED_MIB=16");
    SelfTestOptions options = options_of("/no/such/library.so", opencl);
    options.state_folder = folder.path().string();
    const SelfTest test = run_self_test(options);
    CHECK_FALSE(test.is_fine());
    CHECK(row_of(test.rows, "agent").measured == "does not run");
    CHECK(row_of(test.rows, "container engine").verdict == CheckVerdict::wrong);
    CHECK(row_of(test.rows, "guard").verdict == CheckVerdict::fine);
    CHECK(row_of(test.rows, "guests' network").verdict == CheckVerdict::fine);
    CHECK(row_of(test.rows, "server").verdict == CheckVerdict::skipped);
    CHECK_THAT(row_of(test.rows, "disk").measured, Catch::EndsWith(" free"));
    CHECK(row_of(test.rows, "verification").verdict == CheckVerdict::wrong);
    const std::string table = format_table(test);
    CHECK_THAT(table, Catch::Contains("card 0 Fallow Test Card  verification"));
    CHECK_THAT(table, Catch::Contains("WRONG"));
    const auto json = nlohmann::json::parse(format_json(test));
    CHECK(json.at("ok") == false);
    CHECK(json.at("cards").at(0).at("verification").at("measured").at("written_bytes") == 63 << 20);
    CHECK(json.at("checks").size() == test.rows.size());

    SECTION("beside a running agent nothing is measured, and what it measured is shown") {
        StateFolder agent(folder.path());
        agent.lock();
        options.probe.opencl_library = fake_opencl(folder, "-DFAKE_CLAIMED_MIB=64 -DFAKE_CRASH");
        const SelfTest beside = run_self_test(options);
        CHECK(row_of(beside.rows, "agent").measured == "runs: its last measurements are shown");
        CHECK(beside.cards.at(0).verification == test.cards.at(0).verification);
    }
}

TEST_CASE("a host without cards, and one whose driver hangs, are told so") {
    const std::string none = "/no/such/library.so";
    CHECK(row_of(run_self_test(options_of(none, none)).rows, "found").verdict == CheckVerdict::wrong);
    const TemporaryFolder folder;
    SelfTestOptions options = options_of(fake_nvml(folder, "-DFAKE_HANG"), none);
    options.probe.find_limits = {.silence_ms = 2000, .total_ms = 60'000};
    const SelfTest hung = run_self_test(options);
    CHECK(row_of(hung.rows, "driver").measured == "NVML did not answer for 2000 ms");
}

TEST_CASE("a card that could not be overwritten after its last guest is wrong, and says why") {
    UsedCard used;
    used.uuid = a_card().uuid;
    CHECK_FALSE(scrub_row(a_card(), {}));
    CHECK_FALSE(scrub_row(a_card(), {{used.uuid, used}}));  // a guest has it, or it is about to be
    used.failures = scrub_tries_max;
    used.problem = "the driver hangs";
    const auto row = scrub_row(a_card(), {{used.uuid, used}});
    REQUIRE(row);
    CHECK(row->verdict == CheckVerdict::wrong);
    CHECK_THAT(row->measured, Catch::EndsWith("is not overwritten: the driver hangs"));
    CHECK_FALSE(row->remedy.empty());
}

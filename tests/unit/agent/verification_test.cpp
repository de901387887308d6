// Cards that claim more than they have: the pattern finds them, and the reading back of each piece does
// not.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <vector>

#include "agent/card_catalog.hpp"
#include "agent/card_json.hpp"
#include "agent/device_measure.hpp"
#include "agent/inventory.hpp"
#include "agent/opencl.hpp"
#include "fake_cards.hpp"
#include "read_back.hpp"

using namespace fallow::agent;
using fallow::agent::testing::fake_opencl;
using fallow::agent::testing::reads_back_piece_by_piece;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t gib = 1LL << 30;
constexpr std::int64_t now = 1'800'000'000'000;

struct Device {
    OpenclApi api;
    cl_device_id id = nullptr;
    CardFacts card;
};

Device device_of(const std::string& library) {
    auto api = load_opencl(library);
    REQUIRE(api);
    Device device{*api, nullptr, opencl_cards(*api).at(0)};
    cl_platform_id platform = nullptr;
    REQUIRE(api->clGetPlatformIDs(1, &platform, nullptr) == CL_SUCCESS);
    REQUIRE(api->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device.id, nullptr) == CL_SUCCESS);
    return device;
}

Measurement measure(const Device& device) {
    return measure_device(find_opencl_device(device.api, device.card.uuid, mib), [] {});
}

CardFacts an_nvidia_card(const std::string& product) {
    CardFacts card;
    card.uuid = "GPU-1";
    card.product = product;
    card.device_class = "gpu";
    card.backend = "nvml";
    card.claims = {.opencl_uuid = "OCL-1",
                   .opencl_product = product,
                   .opencl_bytes = 79 * gib,
                   .nvml_bytes = 80 * gib,
                   .used_bytes = 0};
    return card;
}

bool is_offered(const CardFacts& card) {
    const auto told = nlohmann::json::parse(encode_inventory({}, {card}, {}));
    return told.at("cards").at(0).at("offered").get<bool>();
}

Measurement a_measurement(std::int64_t target, std::int64_t written, std::int64_t kept) {
    return {.target_bytes = target,
            .memory = {written, kept},
            .bandwidth_bytes_per_s = 3'000'000'000'000,
            .fp32_flops = 60'000'000'000'000,
            .fp16_flops = 120'000'000'000'000,
            .to_device_bytes_per_s = 50'000'000'000,
            .from_device_bytes_per_s = 50'000'000'000,
            .xids = {}};
}

}  // namespace

TEST_CASE("a card whose memory is there four times is refused, though every piece of it reads back") {
    const TemporaryFolder folder;
    Device device = device_of(fake_opencl(folder, "-DFAKE_CLAIMED_MIB=64 -DFAKE_BACKED_MIB=16"));
    CHECK(device.card.device_class == "gpu");
    CHECK(device.card.claims.opencl_bytes == 64 * mib);
    {
        OpenclSession session(device.api, device.id);
        CHECK(reads_back_piece_by_piece(session, 64 * mib, 4 * mib));
    }
    const Measurement measured = measure(device);
    CHECK(measured.memory.written_bytes == 63 * mib);
    CHECK(measured.memory.kept_bytes <= 16 * mib);
    CHECK(measured.memory.kept_bytes > 15 * mib);
    take_verification(device.card, judge(device.card, measured, nullptr, now));
    CHECK(device.card.is_refused());
    CHECK_FALSE(device.card.capacity);
    CHECK_THAT(device.card.verification->reason, Catch::StartsWith("it claims 64.0 MiB, and of 63.0 MiB"));
    CHECK_FALSE(is_offered(device.card));
}

TEST_CASE("a card that has what it claims passes with all of it") {
    const TemporaryFolder folder;
    Device device = device_of(fake_opencl(folder, "-DFAKE_CLAIMED_MIB=64"));
    const Measurement measured = measure(device);
    take_verification(device.card, judge(device.card, measured, nullptr, now));
    CHECK_FALSE(device.card.is_refused());
    REQUIRE(device.card.capacity);
    CHECK(device.card.capacity->vram_bytes == 63 * mib);  // one is the counter's
    CHECK(device.card.capacity->measured_unix_ms == now);
    CHECK(is_offered(device.card));
}

TEST_CASE("a card that gives out less than it claims is refused") {
    const TemporaryFolder folder;
    const Device device = device_of(fake_opencl(folder, "-DFAKE_CLAIMED_MIB=64 -DFAKE_ALLOCATABLE_MIB=48"));
    const Measurement measured = measure(device);
    CHECK(measured.memory.kept_bytes == measured.memory.written_bytes);
    const Verification verdict = judge(device.card, measured, nullptr, now);
    CHECK_FALSE(verdict.passed);
    CHECK(verdict.reason == "it claims 64.0 MiB, and only 47.0 MiB could be had");
}

TEST_CASE("what a card is refused for, each rule by itself") {
    const std::string h100 = "NVIDIA H100 80GB HBM3";
    const CatalogModel* const model = find_catalog_model(h100, 78 * gib);
    REQUIRE(model != nullptr);
    CardFacts card = an_nvidia_card(h100);
    card.compute_capability = "9.0";
    Measurement measured = a_measurement(79 * gib, 78 * gib, 78 * gib);
    const auto reason = [&] { return judge(card, measured, model, now).reason; };
    CHECK(reason().empty());

    SECTION("97 of 100 are enough, 96 are not") {
        measured.memory = {79 * gib / 100 * 97, 79 * gib / 100 * 97};
        CHECK(reason().empty());
        measured.memory = {79 * gib / 100 * 96, 79 * gib / 100 * 96};
        CHECK(reason() == "it claims 79.0 GiB, and only 75.8 GiB could be had");
    }
    SECTION("an error of the driver") {
        measured.xids = {79, 48};
        CHECK(reason() == "the driver reported Xid 79, 48 while it was measured");
    }
    SECTION("two names") {
        card.claims.opencl_product = "NVIDIA A100-SXM4-80GB";
        CHECK(reason() == "NVML names it NVIDIA H100 80GB HBM3, and OpenCL NVIDIA A100-SXM4-80GB");
        card.claims.opencl_product = "H100 80GB HBM3";
        CHECK(reason().empty());
    }
    SECTION("a name whose chip is another") {
        card.compute_capability = "7.5";
        CHECK(reason() == "a H100 SXM has compute capability 9.0, and this card 7.5");
    }
    SECTION("NVML states more than was proved") {
        card.claims.nvml_bytes = 96 * gib;
        CHECK(reason() == "NVML states 96.0 GiB, and 78.0 GiB were proved");
    }
    SECTION("one faulty word") {
        measured.memory.kept_bytes -= 8;
        CHECK(reason() == "8 bytes of 78.0 GiB did not hold what was written");
    }
    SECTION("slower than any card of that name") {
        measured.bandwidth_bytes_per_s = 300'000'000'000;
        CHECK(reason() == "a H100 SXM moves 3121.8 GiB/s in its memory, and this card 279.4 GiB/s");
    }
}

TEST_CASE("a CPU device proves a piece of the host's memory and is listed with what it states") {
    CardFacts card;
    card.device_class = "cpu";
    card.claims.opencl_bytes = 20 * gib;
    take_verification(card, judge(card, a_measurement(256 * mib, 256 * mib, 256 * mib), nullptr, now));
    REQUIRE(card.capacity);
    CHECK(card.capacity->vram_bytes == 20 * gib);
}

TEST_CASE("a card that is refused later keeps what it proved, and is offered to nobody") {
    CardFacts card = an_nvidia_card("NVIDIA Unknown");
    take_verification(card, judge(card, a_measurement(79 * gib, 78 * gib, 78 * gib), nullptr, now));
    const auto capacity = card.capacity;
    REQUIRE(capacity);
    take_verification(card, not_measured("the measurement did not answer for 60000 ms", now + 1));
    CHECK(card.capacity == capacity);
    CHECK_FALSE(is_offered(card));
    CHECK(parse_cards(encode_cards({card})) == std::vector{card});
}

TEST_CASE("when a card is verified again") {
    constexpr std::int64_t hour = 3600 * 1000;
    constexpr std::int64_t day = 24 * hour;
    const auto at = [&](bool passed, std::int64_t ago) {
        Verification last;
        last.passed = passed;
        last.at_unix_ms = now - ago;
        return verification_is_due(last, now, day);
    };
    CHECK(verification_is_due(std::nullopt, now, day));
    CHECK_FALSE(at(true, day - 1));
    CHECK(at(true, day));
    CHECK_FALSE(at(false, hour - 1));
    CHECK(at(false, hour));
    CHECK(at(true, -1));
}

TEST_CASE("under another driver a card is verified again, and stays refused until then") {
    CardFacts before = an_nvidia_card("NVIDIA Unknown");
    before.driver_version = "550";
    take_verification(before, not_measured("the measurement crashed with signal 6", now));
    std::vector<CardFacts> cards{an_nvidia_card("NVIDIA Unknown")};
    cards[0].driver_version = "560";
    carry_over(cards, {before});
    CHECK(cards[0].is_refused());
    CHECK(verification_is_due(cards[0].verification, now + 1, 1'000'000));
}

TEST_CASE("a card is in use when more than a fiftieth of its memory is") {
    CardFacts card = an_nvidia_card("NVIDIA Unknown");
    card.claims.used_bytes = gib;
    CHECK_FALSE(is_in_use(card));
    card.claims.used_bytes = 2 * gib;
    CHECK(is_in_use(card));
    card.claims.used_bytes.reset();
    CHECK_FALSE(is_in_use(card));
}

TEST_CASE("the catalog is read as the server reads it") {
    CHECK(catalog_models().size() > 100);
    const CatalogModel* const small = find_catalog_model("NVIDIA GeForce RTX 3080", 10 * gib);
    const CatalogModel* const large = find_catalog_model("GeForce RTX 3080", 12 * gib);
    REQUIRE(small != nullptr);
    REQUIRE(large != nullptr);
    CHECK(small->vram_bytes == 10 * gib);
    CHECK(large->vram_bytes == 12 * gib);
    CHECK(find_catalog_model("pthread-cpu", gib) == nullptr);
    CHECK(memory_class(*small, 10 * gib * 85 / 100) == "stock");
    CHECK(memory_class(*small, 10 * gib * 84 / 100) == "modified");
    CHECK(memory_class(*small, 20 * gib) == "modified");
    CHECK(split_csv("a,\"b, \"\"c\"\"\",,d\r") == std::vector<std::string>{"a", "b, \"c\"", "", "d"});
}

// AMD's cards by the kernel's files and by ROCm's library, the processor, and the disk.
#include <catch2/catch.hpp>
#include <fstream>

#include "agent/amdgpu.hpp"
#include "agent/card_json.hpp"
#include "agent/card_probe.hpp"
#include "agent/disk_speed.hpp"
#include "agent/rocm_smi.hpp"
#include "agent/state.hpp"
#include "fake_cards.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::fake_rocm_smi;
using fallow::agent::testing::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

void put(const fs::path& file, const std::string& text) {
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text << '\n';
}

/// As an MI210's folder looks, with a socket beside it.
void lay_card(const fs::path& drm) {
    const fs::path device = drm / "card1" / "device";
    put(device / "vendor", "0x1002");
    put(device / "device", "0x740f");
    put(device / "uevent", "DRIVER=amdgpu\nPCI_CLASS=38000\nPCI_SLOT_NAME=0000:43:00.0");
    put(device / "unique_id", "8d4a2b1c00ff3e21");
    put(device / "mem_info_vram_total", "68702699520");
    put(device / "mem_info_vram_used", "11038720");
    put(device / "max_link_speed", "16.0 GT/s PCIe");
    put(device / "max_link_width", "16");
    put(device / "current_link_speed", "2.5 GT/s PCIe");
    put(device / "current_link_width", "16");
    put(device / "pp_dpm_sclk", "0: 500Mhz *\n1: 800Mhz\n2: 1700Mhz");
    put(device / "ras" / "umc_err_count", "ue: 2\nce: 17");
    put(device / "hwmon" / "hwmon5" / "power1_cap", "300000000");
    put(device / "hwmon" / "hwmon5" / "power1_average", "41000000");
    put(device / "hwmon" / "hwmon5" / "temp1_input", "38000");
    put(device / "driver" / "module" / "version", "6.3.6");
    put(drm / "card1-DP-1" / "device" / "vendor", "0x1002");
}

CardFacts a_device_at(const std::string& pci) {
    CardFacts device;
    device.uuid = "OCL-1";
    device.pci_address = pci;
    device.product = "AMD Instinct MI210";
    device.vendor = "Advanced Micro Devices, Inc.";
    device.claims.opencl_uuid = device.uuid;
    device.claims.opencl_product = device.product;
    device.claims.opencl_bytes = 68'702'699'520;
    return device;
}

}  // namespace

TEST_CASE("AMD's cards are read from the kernel's files") {
    const TemporaryFolder folder;
    lay_card(folder.path());
    const auto cards = amdgpu_cards(folder.path());
    REQUIRE(cards.size() == 1);
    const CardFacts& card = cards[0];
    CHECK(card.uuid == "AMD-8d4a2b1c00ff3e21");
    CHECK(card.pci_address == "0000:43:00.0");
    CHECK(card.backend == "amdgpu");
    CHECK(card.driver_version == "6.3.6");
    CHECK(card.pcie_generation == 4);
    CHECK(card.pcie_width == 16);
    CHECK(card.power_limit_watts == 300);
    CHECK(card.claims.used_bytes == 11'038'720);
    CHECK(card.details == CardDetails{.clock_mhz = 1700, .ecc = true, .ecc_errors = 2});
    CHECK(card.moment == CardMoment{.power_watts = 41,
                                    .temperature_celsius = 38,
                                    .clock_mhz = 500,
                                    .pcie_generation = 1,
                                    .pcie_width = 16});
    CHECK_FALSE(card.capacity);
    CHECK(parse_cards(encode_cards(cards)) == cards);
}

TEST_CASE("an AMD card has OpenCL's name and claims, and is one card") {
    const TemporaryFolder folder;
    lay_card(folder.path());
    const auto cards = merge_cards(amdgpu_cards(folder.path()), {a_device_at("0000:43:00.0")}, false);
    REQUIRE(cards.size() == 1);
    CHECK(cards[0].uuid == "AMD-8d4a2b1c00ff3e21");
    CHECK(cards[0].product == "AMD Instinct MI210");
    CHECK(cards[0].claims.opencl_uuid == "OCL-1");
    CHECK(cards[0].claims.used_bytes == 11'038'720);
}

TEST_CASE("what a card's folder lacks is left out, and what is no card of AMD's is none") {
    const TemporaryFolder folder;
    const fs::path drm = folder.path();
    CHECK(amdgpu_cards(drm / "nowhere").empty());
    put(drm / "card0" / "device" / "vendor", "0x10de");
    put(drm / "card0" / "device" / "mem_info_vram_total", "1");
    put(drm / "card1" / "device" / "vendor", "0x1002");
    CHECK(amdgpu_cards(drm).empty());
    put(drm / "card1" / "device" / "mem_info_vram_total", "8573157376");
    put(drm / "card1" / "device" / "uevent", "PCI_SLOT_NAME=0000:0a:00.0");
    const auto cards = merge_cards(amdgpu_cards(drm), {}, false);
    REQUIRE(cards.size() == 1);
    CHECK(cards[0].uuid.size() == 40);  // made of its place
    CHECK(cards[0].product == "AMD GPU");
    CHECK_FALSE(cards[0].driver_version.empty());
    CHECK(cards[0].details == CardDetails{});
    CHECK_FALSE(cards[0].power_limit_watts);
}

TEST_CASE("ROCm's number of a device is its PCI address") {
    CHECK(pci_address_of(0x4300) == "0000:43:00.0");
    CHECK(pci_address_of(0x1'0000'0a19) == "0001:0a:03.1");
    CHECK(pci_address_of(0xc1f8) == "0000:c1:1f.0");
}

TEST_CASE("ROCm's library tells of cards, but not of their partitions") {
    const TemporaryFolder folder;
    const std::string age = GENERATE("", "-DFAKE_OLD");
    const auto cards = rocm_cards(fake_rocm_smi(folder, age));
    REQUIRE(cards.size() == 2);
    CHECK(cards[0].pci_address == "0000:43:00.0");
    CHECK(cards[0].product == "AMD Instinct MI210");
    CHECK(cards[0].power_limit_watts == 290);
    CHECK(cards[0].claims.used_bytes == 12345);
    CHECK(cards[0].moment == CardMoment{.power_watts = age.empty() ? 45 : 39, .temperature_celsius = 37});
    CHECK(cards[1].pci_address == "0001:0a:03.1");
    CHECK(cards[1].product.empty());
    CHECK(cards[1].moment == CardMoment{});
    CHECK(rocm_cards(fake_rocm_smi(folder, "-DFAKE_REFUSES")).empty());
    CHECK(rocm_cards(fake_rocm_smi(folder, "-Drsmi_dev_pci_id_get=rsmi_something_else")).empty());
    CHECK(rocm_cards("/no/such/librocm_smi64.so.1").empty());
}

TEST_CASE(
    "what the kernel does not tell of an AMD card is ROCm's to tell, and the rest stands without it") {
    const TemporaryFolder folder;
    const fs::path drm = folder.path() / "drm";
    lay_card(drm);
    fs::remove(drm / "card1" / "device" / "hwmon" / "hwmon5" / "temp1_input");
    ProbeOptions options;
    options.program = fallow::testing::bin_dir() + "/fallow-agent";
    options.nvml_library = options.opencl_library = "/no/such/library.so";
    options.drm_folder = drm.string();
    options.find_limits.silence_ms = 4000;
    const auto find_with = [&](const std::string& library) {
        options.rocm_library = library;
        FoundCards found = CardProbe(options).find({});
        REQUIRE(found.cards.size() == 1);
        CHECK(found.cards[0].uuid == "AMD-8d4a2b1c00ff3e21");
        CHECK(found.cards[0].power_limit_watts == 300);
        CHECK(found.cards[0].claims.used_bytes == 11'038'720);
        CHECK(found.cards[0].moment.power_watts == 41);
        return found;
    };
    const FoundCards with = find_with(fake_rocm_smi(folder, ""));
    CHECK(with.problems.empty());
    CHECK(with.cards[0].product == "AMD Instinct MI210");
    CHECK(with.cards[0].moment.temperature_celsius == 37);
    const FoundCards hung = find_with(fake_rocm_smi(folder, "-DFAKE_HANG"));
    CHECK(hung.problems == std::vector<std::string>{"ROCm did not answer for 4000 ms"});
    CHECK(hung.cards[0].product == "AMD GPU");
    const FoundCards without = find_with("/no/such/librocm_smi64.so.1");
    CHECK(without.problems.empty());
    CHECK_FALSE(without.cards[0].moment.temperature_celsius);
}

TEST_CASE("a processor is named, and its clock does not change with every look") {
    const Processor two = parse_processor(
        "processor\t: 0\nmodel name\t: AMD EPYC 7763 64-Core Processor\ncpu MHz\t\t: 2445.432\n\n"
        "processor\t: 1\nmodel name\t: AMD EPYC 7763 64-Core Processor\ncpu MHz\t\t: 2461.9\n");
    CHECK(two.model == "AMD EPYC 7763 64-Core Processor");
    CHECK(two.clock_mhz == 2500);
    const Processor none = parse_processor("processor : 0\nBogoMIPS : 50.00\n");
    CHECK_FALSE(none.model);
    CHECK_FALSE(none.clock_mhz);
}

TEST_CASE("the disk is measured, leaves nothing behind, and not again on the same day") {
    const TemporaryFolder folder;
    constexpr std::int64_t bytes = 16 << 20;
    const auto speed = measure_disk(folder.path(), bytes, {});
    REQUIRE(speed);
    CHECK(speed->write_bytes_per_s > 0);
    CHECK(speed->read_bytes_per_s > 0);
    CHECK(fs::is_empty(folder.path()));
    CHECK_THROWS_WITH(measure_disk(folder.path(), INT64_MAX / 8, {}),
                      "too little is free on the disk to measure it without being in the way");

    DiskKeeper disk(folder.path(), bytes);
    CHECK_FALSE(disk.kept());
    CHECK(disk.measure_if_due([] { return false; }, {}));
    CHECK(disk.kept());
    CHECK_FALSE(disk.measure_if_due([] { return false; }, {}));
    write_file_atomically(folder.path() / "disk.json",
                          R"({"write_bytes_per_s":1,"read_bytes_per_s":2,"measured_unix_ms":3})");
    CHECK(disk.kept() == DiskSpeed{1, 2, 3});
    CHECK(disk.measure_if_due([] { return false; }, {}));
    CHECK(disk.kept() != DiskSpeed{1, 2, 3});
}

TEST_CASE("the disk is not measured beside a lease, and a lease that begins ends it") {
    const TemporaryFolder folder;
    DiskKeeper disk(folder.path(), 16 << 20);
    CHECK_FALSE(disk.measure_if_due([] { return true; }, {}));
    // The lease comes just after it was asked for.
    CHECK_FALSE(disk.measure_if_due(
        [&] {
            disk.yield();
            return false;
        },
        {}));
    std::stop_source stop;
    stop.request_stop();
    CHECK_FALSE(disk.measure_if_due([] { return false; }, stop.get_token()));
    CHECK_FALSE(disk.kept());
}

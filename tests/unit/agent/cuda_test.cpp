// NVIDIA's cards are proved through the CUDA driver, here a stand-in whose memory is a file, and through
// OpenCL where CUDA does not have them.
#include "agent/cuda.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "agent/card_json.hpp"
#include "agent/card_keeper.hpp"
#include "agent/card_probe.hpp"
#include "fake_cards.hpp"
#include "read_back.hpp"

using namespace fallow::agent;
using fallow::agent::testing::cuda_uuid;
using fallow::agent::testing::fake_cuda;
using fallow::agent::testing::fake_nvml;
using fallow::agent::testing::fake_opencl;
using fallow::agent::testing::reads_back_piece_by_piece;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr const char* no_library = "/no/such/library.so";
constexpr std::int64_t mib = 1 << 20;
const std::string claims_64 = "-DFAKE_CLAIMED_MIB=64 ";
const std::string nvml_64 =
    std::string("-DFAKE_VRAM_BYTES='(64ull<<20)' -DFAKE_NAME='\"Fallow Test Card\"' ") + "-DFAKE_UUID='\"" +
    cuda_uuid + "\"' ";

ProbeOptions options_of(const std::string& nvml, const std::string& cuda, const std::string& opencl) {
    ProbeOptions options;
    options.program = fallow::testing::bin_dir() + "/fallow-agent";
    options.nvml_library = nvml;
    options.cuda_library = cuda;
    options.opencl_library = opencl;
    options.cpu_bytes_max = mib;
    return options;
}

/// The first card as it stands in the inventory after it was measured.
CardFacts first_card(const ProbeOptions& options) {
    CardKeeper keeper({options, {}, 1000, true});
    const FoundCards found = keeper.take([](const CardFacts&) { return false; }, {});
    REQUIRE_FALSE(found.cards.empty());
    return found.cards[0];
}

bool is_offered(const CardFacts& card) {
    const auto told = nlohmann::json::parse(encode_inventory({}, {card}, {})).at("cards").at(0);
    return told.at("offered").get<bool>() && !told.at("capacity").is_null();
}

}  // namespace

TEST_CASE("a card that OpenCL does not have is proved through CUDA, and offered") {
    const TemporaryFolder folder;
    const CardFacts card =
        first_card(options_of(fake_nvml(folder, nvml_64), fake_cuda(folder, claims_64), no_library));
    CHECK(card.claims.opencl_uuid.empty());
    CHECK(card.claims.has_cuda);
    REQUIRE(card.verification);
    CHECK(card.verification->reason.empty());
    const Measurement measured = card.verification->measured.value();
    CHECK(measured.driver == "cuda");
    CHECK(measured.target_bytes == 64 * mib);
    CHECK(measured.memory == MemoryProof{63 * mib, 63 * mib});
    CHECK(measured.bandwidth_bytes_per_s > 0);
    CHECK(measured.fp32_flops > 0);
    CHECK(measured.fp16_flops.value_or(0) > 0);
    CHECK(measured.to_device_bytes_per_s > 0);
    CHECK(measured.from_device_bytes_per_s > 0);
    CHECK(is_offered(card));
    CHECK(parse_cards(encode_cards({card})) == std::vector{card});
}

TEST_CASE("what CUDA does not have is proved through OpenCL, which has it under its own name") {
    const TemporaryFolder folder;
    struct Row {
        std::string cuda;  ///< how the library is built; empty: there is none
        std::string driver;
    };
    const Row row = GENERATE(Row{"-DFAKE_CLAIMED_MIB=64", "cuda"}, Row{"", "opencl"},
                             Row{"-DFAKE_CLAIMED_MIB=64 -DFAKE_CAPABILITY=5", "opencl"},
                             Row{"-DFAKE_CLAIMED_MIB=64 "
                                 "-DFAKE_UUID='\"GPU-ffffffff-ffff-ffff-ffff-ffffffffffff\"'",
                                 "opencl"},
                             Row{"-DFAKE_CLAIMED_MIB=64 -DcuMemAlloc_v2=cuMemAlloc_v9", "opencl"});
    INFO(row.cuda);
    const std::string cuda = row.cuda.empty() ? no_library : fake_cuda(folder, row.cuda);
    const CardFacts card =
        first_card(options_of(fake_nvml(folder, nvml_64), cuda, fake_opencl(folder, claims_64)));
    REQUIRE(card.verification);
    CHECK(card.verification->reason.empty());
    CHECK(card.verification->measured.value().driver == row.driver);
}

TEST_CASE("a card that claims too much, or fails, is refused through CUDA as well") {
    const TemporaryFolder folder;
    struct Row {
        std::string cuda;
        std::string reason;
    };
    const Row row = GENERATE_REF(
        Row{claims_64 + "-DFAKE_BACKED_MIB=16",
            "it claims 64.0 MiB, and of 63.0 MiB written only 16.0 MiB were there to be read"},
        Row{claims_64 + "-DFAKE_ALLOCATABLE_MIB=48", "it claims 64.0 MiB, and only 47.0 MiB could be had"},
        Row{claims_64 + "-DFAKE_FAILS_AFTER=3",
            "the measurement failed: cuCtxSynchronize failed with CUDA_ERROR_ILLEGAL_ADDRESS; Xids: []"},
        Row{claims_64 + "-DFAKE_HANG", "the measurement did not answer for 4000 ms"});
    INFO(row.cuda);
    ProbeOptions options = options_of(fake_nvml(folder, nvml_64), fake_cuda(folder, row.cuda), no_library);
    if (row.cuda.ends_with("HANG")) options.verify_limits.silence_ms = 4000;
    const CardFacts card = first_card(options);
    REQUIRE(card.verification);
    CHECK(card.verification->reason == row.reason);
    CHECK_FALSE(is_offered(card));
}

TEST_CASE("reading back piece by piece finds nothing wrong with memory that is there four times") {
    const TemporaryFolder folder;
    const auto found = find_cuda_device(fake_cuda(folder, claims_64 + "-DFAKE_BACKED_MIB=16"), cuda_uuid);
    REQUIRE(found);
    CHECK(found->memory_bytes == 64 * mib);
    CHECK(reads_back_piece_by_piece(*found->open(), 64 * mib, 4 * mib));
}

TEST_CASE("an instance of a divided card is proved by its own name, and its card is listened to") {
    const TemporaryFolder folder;
    const std::string instance = "MIG-00112233-4455-6677-8899-aabbccddee0";
    const std::string nvml =
        fake_nvml(folder, nvml_64 + "-DFAKE_MIG=1 -DFAKE_MIG_BYTES='(64ull<<20)' -DFAKE_MIG_UUID='\"" +
                              instance + "\"' -DFAKE_XID=63");
    const std::string cuda = fake_cuda(folder, claims_64 + "-DFAKE_UUID='\"" + instance + "1\"'");
    ProbeOptions options = options_of(nvml, cuda, no_library);
    options.cdi_folders = {folder.path().string()};
    std::ofstream(folder.path() / "nvidia.yaml") << "devices:\n- name: " << instance << "1\n";
    const CardFacts card = first_card(options);
    CHECK(card.uuid == instance + "1");
    REQUIRE(card.verification);
    CHECK(card.verification->reason == "the driver reported Xid 63 while it was measured");
    CHECK(card.verification->measured.value().memory.kept_bytes == 63 * mib);
}

TEST_CASE("CUDA is asked only for what it can have") {
    const TemporaryFolder folder;
    const std::string library = fake_cuda(folder, claims_64);
    CHECK(has_cuda(library, cuda_uuid, "9.0"));
    CHECK(has_cuda(library, cuda_uuid, "10.3"));
    CHECK_FALSE(has_cuda(library, cuda_uuid, "5.2"));
    CHECK_FALSE(has_cuda(library, cuda_uuid, std::nullopt));
    CHECK_FALSE(has_cuda(library, "MIG-GPU-00112233-4455-6677-8899-aabbccddee00/1/0", "9.0"));
    CHECK_FALSE(has_cuda(no_library, cuda_uuid, "9.0"));
}

TEST_CASE("NVML's names of cards as octets") {
    const auto uuid = parse_nvml_uuid(cuda_uuid);
    REQUIRE(uuid);
    CHECK((*uuid)[1] == 0x11);
    CHECK((*uuid)[15] == 0);
    CHECK(parse_nvml_uuid("MIG-FF112233-4455-6677-8899-aabbccddee01").value()[0] == 0xff);
    CHECK_FALSE(parse_nvml_uuid("GPU-one"));
    CHECK_FALSE(parse_nvml_uuid("OCL-00112233-4455-6677-8899-aabbccddee00"));
    CHECK_FALSE(parse_nvml_uuid("GPU-00112233-4455-6677-8899-aabbccddee0g"));
    CHECK_FALSE(parse_nvml_uuid("GPU-00112233-4455-6677-8899-aabbccddee00aa"));
    CHECK_FALSE(parse_nvml_uuid(""));
}

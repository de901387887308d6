// Cards: NVML through a stand-in library, OpenCL through whatever is really here (PoCL on a machine without
// a GPU).
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "agent/card_json.hpp"
#include "agent/device_measure.hpp"
#include "agent/inventory.hpp"
#include "agent/nvml.hpp"
#include "agent/opencl.hpp"
#include "agent/opencl_api.hpp"
#include "fake_cards.hpp"

using namespace fallow::agent;
using fallow::agent::testing::fake_nvml;
using fallow::agent::testing::TemporaryFolder;

namespace {

CardFacts a_card(const std::string& uuid, const std::string& pci) {
    CardFacts card;
    card.uuid = uuid;
    card.pci_address = pci;
    return card;
}

CardFacts a_device(const std::string& uuid, const std::string& pci, const std::string& vendor) {
    CardFacts card = a_card(uuid, pci);
    card.vendor = vendor;
    card.claims = {
        .opencl_uuid = uuid, .opencl_product = "P", .opencl_bytes = 5, .nvml_bytes = {}, .used_bytes = {}};
    return card;
}

cl_device_id first_device(const OpenclApi& api) {
    cl_platform_id platform = nullptr;
    cl_device_id device = nullptr;
    REQUIRE(api.clGetPlatformIDs(1, &platform, nullptr) == CL_SUCCESS);
    REQUIRE(api.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr) == CL_SUCCESS);
    return device;
}

}  // namespace

TEST_CASE("NVIDIA cards are read through NVML's own layouts, and a lost one is left out") {
    const TemporaryFolder folder;
    const auto cards = nvml_cards(fake_nvml(folder, "")).value();
    REQUIRE(cards.size() == 2);
    CHECK(cards[0].uuid == "GPU-one");
    CHECK(cards[0].name == "NVIDIA Test Card");
    CHECK(cards[0].pci_address == "0000:41:00.0");
    CHECK(cards[0].memory_bytes == 80LL << 30);
    CHECK(cards[0].driver_version == "550.1");
    CHECK(cards[1].pci_address == "0000:c1:00.0");
    CHECK(cards[0].cuda_version == "12.4");
    CHECK(cards[0].compute_capability == "9.0");
    CHECK(cards[0].pcie_generation == 5);
    CHECK(cards[0].pcie_width == 16);
    CHECK(cards[0].power_limit_watts == 700);
    CHECK_FALSE(cards[1].pcie_generation);
}

TEST_CASE("what NVML tells of a card beside that is read, too") {
    const TemporaryFolder folder;
    const auto cards = nvml_cards(fake_nvml(folder, "-DFAKE_ECC_ERRORS=3")).value();
    REQUIRE(cards.size() == 2);
    CHECK(cards[0].details == CardDetails{.clock_mhz = 1980, .ecc = true, .ecc_errors = 3});
    CHECK(cards[0].moment == CardMoment{.power_watts = 93,
                                        .temperature_celsius = 41,
                                        .clock_mhz = 345,
                                        .pcie_generation = 1,
                                        .pcie_width = 8});
    CHECK_FALSE(cards[1].details.ecc);
    CHECK_FALSE(cards[1].details.nvlink_links);
}

TEST_CASE("the processes on a card are read, with what the kernel knows of each") {
    const TemporaryFolder folder;
    const std::string script = (folder.path() / "processes").string();
    std::ofstream(script) << "c " << ::getpid() << " 1073741824\ng " << ::getpid() << " 5\n"
                          << "g 1 -1\nc 999999999 7\n";
    const auto cards = nvml_cards(fake_nvml(folder, "-DFAKE_PROCESSES='\"" + script + "\"'")).value();
    REQUIRE(cards.size() == 2);
    REQUIRE(cards[0].moment.processes);
    const std::vector<CardProcess>& processes = *cards[0].moment.processes;
    REQUIRE(processes.size() == 3);
    CHECK(processes[0].pid == 1);
    CHECK_FALSE(processes[0].computes);
    CHECK_FALSE(processes[0].used_bytes);
    CHECK_FALSE(processes[0].program.empty());
    CHECK(processes[1].pid == ::getpid());
    CHECK(processes[1].computes);
    CHECK(processes[1].used_bytes == 1 << 30);
    CHECK(processes[1].program == program_of(::getpid()));
    CHECK(processes[2] == CardProcess{.pid = 999'999'999, .used_bytes = 7});
    CHECK_FALSE(cards[1].moment.processes);
    CHECK_FALSE(nvml_cards(fake_nvml(folder, "")).value().at(0).moment.processes);
}

TEST_CASE("what runs on a card is kept on the host") {
    CardFacts card = a_card("GPU-1", "0000:41:00.0");
    card.moment.processes = std::vector<CardProcess>{{.pid = 7, .used_bytes = 5, .program = "somebodys"},
                                                     {.pid = 8, .computes = false, .container = "abc"}};
    CHECK(parse_cards(encode_cards({card})) == std::vector{card});
    CHECK(encode_inventory({}, {card}, {}).find("somebodys") == std::string::npos);
}

TEST_CASE("cards that reach each other by NVLink are one group") {
    struct Row {
        std::string links;
        std::optional<std::int64_t> group;
    };
    const Row row = GENERATE(Row{"direct", 0}, Row{"switch", 0}, Row{"stranger", std::nullopt});
    INFO(row.links);
    const TemporaryFolder folder;
    const auto cards = nvml_cards(fake_nvml(folder, "-DFAKE_LINKS='\"" + row.links + "\"'")).value();
    REQUIRE(cards.size() == 2);
    for (const NvmlCard& card : cards) {
        CHECK(card.details.nvlink_links == 2);
        CHECK(card.details.nvlink_bytes_per_s == 2 * 26'562'000'000);
        CHECK(card.details.nvlink_group == row.group);
    }
}

TEST_CASE("NVLink groups are numbered from the first card, through any chain of links") {
    std::vector<NvmlCard> cards(7);
    for (std::size_t i = 0; i < cards.size(); ++i)
        cards[i].pci_address = "0000:0" + std::to_string(i) + ":00.0";
    // 1 - 4 - 2, 3 - 6, and 0 and 5 alone; a link says so at one end at least.
    cards[1].link_peers = {cards[4].pci_address};
    cards[2].link_peers = {cards[4].pci_address};
    cards[6].link_peers = {cards[3].pci_address};
    number_nvlink_groups(cards);
    const std::vector<std::optional<std::int64_t>> wanted{{}, 0, 0, 1, 0, {}, 1};
    for (std::size_t i = 0; i < cards.size(); ++i) {
        INFO(i);
        CHECK(cards[i].details.nvlink_group == wanted[i]);
    }
}

TEST_CASE("a divided card is listed as its instances, each with its own uuid and memory") {
    const std::string named = GENERATE("", "-DFAKE_MIG_NAMED");
    const TemporaryFolder folder;
    const std::string linked = "-DFAKE_LINKS='\"direct\"' ";
    const auto cards = nvml_cards(fake_nvml(folder, linked + "-DFAKE_MIG=2 " + named)).value();
    REQUIRE(cards.size() == 3);
    const std::string profile = named.empty() ? "1g.5gb" : "3g.40gb";
    for (std::size_t i = 0; i < 2; ++i) {
        CHECK(cards[i].uuid == "MIG-" + std::to_string(i + 1));
        CHECK(cards[i].name == "NVIDIA Test Card MIG " + profile);
        CHECK(cards[i].memory_bytes == 5LL << 30);
        CHECK(cards[i].details.mig_profile == profile);
        CHECK(cards[i].details.mig_parent == "GPU-one");
        CHECK(cards[i].pci_address == "0000:41:00.0");
        CHECK(cards[i].compute_capability == "9.0");
        CHECK_FALSE(cards[i].power_limit_watts);
        CHECK_FALSE(cards[i].details.nvlink_group);
    }
    CHECK_FALSE(cards[2].details.nvlink_group);
    CHECK(cards[2].uuid == "GPU-three");
    CHECK_FALSE(cards[2].details.mig_profile);
    CHECK(nvml_cards(fake_nvml(folder, "-DFAKE_MIG=0")).value().size() == 1);
}

TEST_CASE("an instance is kept when an engine can name it, and has no OpenCL device") {
    const TemporaryFolder folder;
    std::ofstream(folder.path() / "nvidia.yaml") << "devices:\n- name: MIG-one\n";
    const auto made = [] {
        std::vector<CardFacts> cards{a_card("MIG-one", "0000:41:00.0"), a_card("MIG-two", "0000:41:00.0"),
                                     a_card("GPU-3", "0000:42:00.0")};
        cards[0].details.mig_profile = cards[1].details.mig_profile = "1g.5gb";
        return merge_cards(std::move(cards), {a_device("OCL-1", "0000:41:00.0", "NVIDIA Corporation")},
                           true);
    };
    std::vector<CardFacts> cards = made();
    const auto problems = drop_unnamed_instances(cards, {folder.path().string(), "/no/such/folder"});
    REQUIRE(cards.size() == 2);
    CHECK(cards[0].uuid == "MIG-one");
    CHECK(cards[0].claims.opencl_uuid.empty());
    CHECK(cards[1].uuid == "GPU-3");
    CHECK(cards[1].index == 1);
    REQUIRE(problems.size() == 1);
    CHECK_THAT(problems[0], Catch::StartsWith("the instance MIG-two (1g.5gb) is left out"));
}

TEST_CASE("what an older NVML does not tell is not told, and the card is listed all the same") {
    const TemporaryFolder folder;
    const auto cards = nvml_cards(fake_nvml(folder,
                                            "-DnvmlDeviceGetEnforcedPowerLimit=nvmlOther "
                                            "-DnvmlSystemGetCudaDriverVersion_v2=nvmlAnother"))
                           .value();
    REQUIRE(cards.size() == 2);
    CHECK_FALSE(cards[0].cuda_version);
    CHECK_FALSE(cards[0].power_limit_watts);
    CHECK(cards[0].pcie_width == 16);
}

TEST_CASE("NVML counts the processes that compute on a card, where library and card tell") {
    const TemporaryFolder folder;
    const std::string script = (folder.path() / "processes").string();
    std::ofstream(script) << "c 17 1024\nc 18 -1\ng 19 512\n";
    const std::string told = "-DFAKE_PROCESSES='\"" + script + "\"' ";
    CHECK(nvml_process_count(fake_nvml(folder, told), "GPU-one") == 2);
    CHECK_FALSE(nvml_process_count(fake_nvml(folder, told), "GPU-none"));
    std::ofstream(script, std::ios::trunc);
    CHECK(nvml_process_count(fake_nvml(folder, told), "GPU-one") == 0);
    CHECK_FALSE(nvml_process_count(fake_nvml(folder, ""), "GPU-one"));
}

TEST_CASE("no library, or one without the needed functions, means no card") {
    CHECK_FALSE(nvml_cards("/no/such/libnvidia-ml.so.1"));
    const TemporaryFolder folder;
    CHECK_FALSE(nvml_cards(fake_nvml(folder, "-DnvmlDeviceGetMemoryInfo_v2=nvmlSomethingElse")));
}

TEST_CASE("a card seen by both libraries is listed once, with the claims of both") {
    const auto cards = merge_cards({a_card("GPU-1", "0000:41:00.0"), a_card("GPU-2", "0000:42:00.0")},
                                   {a_device("OCL-1", "0000:41:00.0", "NVIDIA Corporation"),
                                    a_device("OCL-2", "", "The pocl project")},
                                   true);
    REQUIRE(cards.size() == 3);
    CHECK(cards[0].uuid == "GPU-1");
    CHECK(cards[0].claims.opencl_uuid == "OCL-1");
    CHECK(cards[0].claims.opencl_bytes == 5);
    CHECK(cards[1].claims.opencl_uuid.empty());
    CHECK(cards[2].uuid == "OCL-2");
    CHECK(cards[2].index == 2);
}

TEST_CASE("a card that NVML has lost is no card under another name, and is one where there is no NVML") {
    const CardFacts device = a_device("OCL-1", "0000:41:00.0", "NVIDIA Corporation");
    CHECK(merge_cards({}, {device}, true).empty());
    CHECK(merge_cards({}, {device}, false).size() == 1);
}

TEST_CASE("this machine's OpenCL devices are found and measured") {
    const auto api = load_opencl("libOpenCL.so.1");
    REQUIRE(api);
    const auto cards = opencl_cards(*api);
    REQUIRE_FALSE(cards.empty());
    for (const CardFacts& card : cards) {
        INFO(card.product);
        CHECK(card.uuid.starts_with("OCL-"));
        CHECK(card.backend == "opencl");
        CHECK_FALSE(card.driver_version.empty());
        CHECK(card.claims.opencl_bytes > 0);
        CHECK_FALSE(card.capacity);
        if (card.product.starts_with("pthread")) CHECK(card.device_class == "cpu");
        int steps = 0;
        const Measurement found =
            measure_device(find_opencl_device(*api, card.uuid, 32 << 20), [&] { ++steps; });
        CHECK(steps > 20);
        CHECK(found.driver == "opencl");
        CHECK(found.memory.kept_bytes == found.memory.written_bytes);
        if (card.device_class == "cpu") CHECK(found.target_bytes == 32 << 20);
        CHECK(found.bandwidth_bytes_per_s > 0);
        CHECK(found.fp32_flops > 0);
        CHECK(found.to_device_bytes_per_s > 0);
        CHECK(found.from_device_bytes_per_s > 0);
    }
    CHECK(opencl_cards(*api) == cards);
    CHECK_THROWS_WITH(find_opencl_device(*api, "OCL-none", 1 << 20), "OpenCL has the device no more");
}

TEST_CASE("no OpenCL library means no device") {
    CHECK_FALSE(load_opencl("/no/such/libOpenCL.so.1"));
}

TEST_CASE("the pattern is written to as many bytes as were asked for, over several buffers") {
    const auto api = load_opencl("libOpenCL.so.1");
    REQUIRE(api);
    OpenclSession session(*api, first_device(*api));
    const MemoryProof proof = prove_memory(session, 5 << 20, 2 << 20, 7, [] {});
    CHECK(proof == MemoryProof{5 << 20, 5 << 20});
}

namespace {

/// Stands between the agent and the real OpenCL: after a fill, one word of the device's memory is not what
/// was written, as on a card with a faulty cell.
std::optional<OpenclApi> honest;
constexpr int first_fill = 3;  // after what makes the device ready
int runs = 0;
cl_mem last_buffer = nullptr;

cl_int forget_a_word(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                     const std::size_t* offset, const std::size_t* size, const std::size_t* local,
                     cl_uint count, const cl_event* wait, cl_event* event) {
    const cl_int code =
        honest->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, size, local, count, wait, event);
    if (++runs == first_fill) {
        honest->clFinish(queue);
        const cl_uint zero = 0;
        honest->clEnqueueWriteBuffer(queue, last_buffer, CL_TRUE, 4096, sizeof zero, &zero, 0, nullptr,
                                     nullptr);
    }
    return code;
}

cl_mem remember_buffer(cl_context context, cl_mem_flags flags, std::size_t size, void* host, cl_int* code) {
    const cl_mem buffer = honest->clCreateBuffer(context, flags, size, host, code);
    if (runs < first_fill) last_buffer = buffer;
    return buffer;
}

}  // namespace

TEST_CASE("one word that does not keep the pattern is found") {
    honest = load_opencl("libOpenCL.so.1");
    REQUIRE(honest);
    OpenclApi faked = *honest;
    faked.clEnqueueNDRangeKernel = forget_a_word;
    faked.clCreateBuffer = remember_buffer;
    OpenclSession session(faked, first_device(*honest));
    const MemoryProof proof = prove_memory(session, 2 << 20, 1 << 20, 7, [] {});
    CHECK(proof == MemoryProof{2 << 20, (2 << 20) - 8});
}

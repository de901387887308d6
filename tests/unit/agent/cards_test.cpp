// Cards: NVML through a stand-in library, OpenCL through whatever is really here (PoCL on a machine without
// a GPU).
#include <catch2/catch.hpp>
#include <cstdlib>

#include "agent/inventory.hpp"
#include "agent/nvml.hpp"
#include "agent/opencl.hpp"
#include "agent/opencl_api.hpp"
#include "agent/opencl_measure.hpp"
#include "support/paths.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

std::string build_library(const TemporaryFolder& folder, const std::string& more) {
    const std::string library = (folder.path() / "libnvidia-ml.so.1").string();
    const std::string command = "cc -shared -fPIC " + more + " -o " + library + " " +
                                fallow::testing::source_dir() + "/tests/unit/agent/fake_nvml.c";
    REQUIRE(std::system(command.c_str()) == 0);
    return library;
}

CardFacts a_card(const std::string& uuid, const std::string& pci, std::optional<CardCapacity> capacity) {
    CardFacts card;
    card.uuid = uuid;
    card.pci_address = pci;
    card.capacity = capacity;
    return card;
}

}  // namespace

TEST_CASE("NVIDIA cards are read through NVML's own layouts, and a lost one is left out") {
    const TemporaryFolder folder;
    const auto cards = nvml_cards(build_library(folder, ""));
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

TEST_CASE("what an older NVML does not tell is not told, and the card is listed all the same") {
    const TemporaryFolder folder;
    const auto cards = nvml_cards(build_library(folder,
                                                "-DnvmlDeviceGetEnforcedPowerLimit=nvmlOther "
                                                "-DnvmlSystemGetCudaDriverVersion_v2=nvmlAnother"));
    REQUIRE(cards.size() == 2);
    CHECK_FALSE(cards[0].cuda_version);
    CHECK_FALSE(cards[0].power_limit_watts);
    CHECK(cards[0].pcie_width == 16);
}

TEST_CASE("no library, or one without the needed functions, means no card") {
    CHECK(nvml_cards("/no/such/libnvidia-ml.so.1").empty());
    const TemporaryFolder folder;
    CHECK(nvml_cards(build_library(folder, "-DnvmlDeviceGetMemoryInfo_v2=nvmlSomethingElse")).empty());
}

TEST_CASE("a card seen by both libraries is listed once, with what OpenCL measured") {
    const CardCapacity capacity{1, 2, 3, 4};
    const auto cards =
        merge_cards({a_card("GPU-1", "0000:41:00.0", {}), a_card("GPU-2", "0000:42:00.0", {})},
                    {a_card("OCL-1", "0000:41:00.0", capacity), a_card("OCL-2", "", capacity)});
    REQUIRE(cards.size() == 3);
    CHECK(cards[0].uuid == "GPU-1");
    CHECK(cards[0].capacity == capacity);
    CHECK_FALSE(cards[1].capacity);
    CHECK(cards[2].uuid == "OCL-2");
    CHECK(cards[2].index == 2);
}

TEST_CASE("this machine's OpenCL devices are found, measured once, and told honestly") {
    const auto cards = opencl_cards({.cpu_bytes_max = 32 << 20, .enabled = true}, {});
    REQUIRE_FALSE(cards.empty());
    for (const CardFacts& card : cards) {
        INFO(card.product);
        CHECK(card.uuid.starts_with("OCL-"));
        CHECK(card.backend == "opencl");
        CHECK_FALSE(card.driver_version.empty());
        REQUIRE(card.capacity);
        CHECK(card.capacity->vram_bytes > 0);
        CHECK(card.capacity->memory_bandwidth_bytes_per_s > 0);
        CHECK(card.capacity->fp32_flops > 0);
        if (card.product.starts_with("pthread")) CHECK(card.device_class == "cpu");
    }
    CHECK(opencl_cards({.cpu_bytes_max = 32 << 20, .enabled = true}, cards) == cards);
    CHECK(parse_cards(encode_cards(cards)) == cards);
    const auto unmeasured = opencl_cards({.cpu_bytes_max = 32 << 20, .enabled = false}, {});
    CHECK_FALSE(unmeasured.at(0).capacity);
    CHECK(unmeasured.at(0).uuid == cards[0].uuid);
}

TEST_CASE("the pattern proves as many bytes as were asked for, over several buffers") {
    const OpenclApi* const api = opencl_api();
    REQUIRE(api != nullptr);
    cl_platform_id platform = nullptr;
    cl_device_id device = nullptr;
    REQUIRE(api->clGetPlatformIDs(1, &platform, nullptr) == CL_SUCCESS);
    REQUIRE(api->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr) == CL_SUCCESS);
    CHECK(measure_device(*api, device, 5 << 20).proved_bytes == 5 << 20);
}

namespace {

/// Stands between the agent and the real OpenCL: after a fill, one word of the device's memory is not what
/// was written, as on a card whose memory is not all there.
const OpenclApi* honest = nullptr;
int runs = 0;
cl_mem last_buffer = nullptr;

cl_int forget_a_word(cl_command_queue queue, cl_kernel kernel, cl_uint dimensions,
                     const std::size_t* offset, const std::size_t* size, const std::size_t* local,
                     cl_uint count, const cl_event* wait, cl_event* event) {
    const cl_int code =
        honest->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, size, local, count, wait, event);
    if (++runs == 1) {
        honest->clFinish(queue);
        const cl_uint zero = 0;
        honest->clEnqueueWriteBuffer(queue, last_buffer, CL_TRUE, 4096, sizeof zero, &zero, 0, nullptr,
                                     nullptr);
    }
    return code;
}

cl_mem remember_buffer(cl_context context, cl_mem_flags flags, std::size_t size, void* host, cl_int* code) {
    const cl_mem buffer = honest->clCreateBuffer(context, flags, size, host, code);
    if (runs == 0) last_buffer = buffer;
    return buffer;
}

}  // namespace

TEST_CASE("memory that does not keep the pattern is found out") {
    honest = opencl_api();
    REQUIRE(honest != nullptr);
    cl_platform_id platform = nullptr;
    cl_device_id device = nullptr;
    REQUIRE(honest->clGetPlatformIDs(1, &platform, nullptr) == CL_SUCCESS);
    REQUIRE(honest->clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 1, &device, nullptr) == CL_SUCCESS);
    OpenclApi faked = *honest;
    faked.clEnqueueNDRangeKernel = forget_a_word;
    faked.clCreateBuffer = remember_buffer;
    CHECK_THROWS_WITH(measure_device(faked, device, 1 << 20), "memory did not keep the pattern");
}

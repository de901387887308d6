#include "agent/opencl.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>

#include "agent/crypto.hpp"
#include "agent/opencl_api.hpp"
#include "agent/opencl_measure.hpp"

namespace fallow::agent {
namespace {

// Extensions by which a device tells its PCI address and board (cl_khr_pci_bus_info,
// cl_nv_device_attribute_query, cl_amd_device_attribute_query); the numbers are from the Khronos registry.
constexpr cl_device_info khr_pci_bus_info = 0x410F;
constexpr cl_device_info nv_pci_bus_id = 0x4008;
constexpr cl_device_info nv_pci_slot_id = 0x4009;
constexpr cl_device_info nv_pci_domain_id = 0x400A;
// By the device name of AMD's driver ("gfx942") several products go; the board's name is the product's.
constexpr cl_device_info amd_board_name = 0x4038;

struct KhrPciBusInfo {
    cl_uint domain;
    cl_uint bus;
    cl_uint device;
    cl_uint function;
};

template <class Value>
bool read_value(const OpenclApi& api, cl_device_id device, cl_device_info what, Value& value) {
    return api.clGetDeviceInfo(device, what, sizeof value, &value, nullptr) == CL_SUCCESS;
}

std::string read_text(const OpenclApi& api, cl_device_id device, cl_device_info what) {
    std::size_t size = 0;
    if (api.clGetDeviceInfo(device, what, 0, nullptr, &size) != CL_SUCCESS || size == 0) return {};
    std::string text(size, '\0');
    if (api.clGetDeviceInfo(device, what, size, text.data(), nullptr) != CL_SUCCESS) return {};
    text.resize(text.find('\0') == std::string::npos ? size : text.find('\0'));
    const std::size_t start = text.find_first_not_of(' ');
    return start == std::string::npos ? std::string()
                                      : text.substr(start, text.find_last_not_of(' ') - start + 1);
}

std::string pci_address(const OpenclApi& api, cl_device_id device) {
    KhrPciBusInfo khr{};
    if (read_value(api, device, khr_pci_bus_info, khr))
        return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", khr.domain, khr.bus, khr.device, khr.function);
    cl_uint bus = 0;
    cl_uint slot = 0;
    cl_uint domain = 0;
    if (!read_value(api, device, nv_pci_bus_id, bus) || !read_value(api, device, nv_pci_slot_id, slot))
        return {};
    read_value(api, device, nv_pci_domain_id, domain);
    return fmt::format("{:04x}:{:02x}:{:02x}.{:x}", domain, bus, slot >> 3, slot & 7);
}

std::string device_class(const OpenclApi& api, cl_device_id device) {
    cl_device_type type = 0;
    if (!read_value(api, device, CL_DEVICE_TYPE, type)) return "accelerator";
    if ((type & CL_DEVICE_TYPE_GPU) != 0) return "gpu";
    return (type & CL_DEVICE_TYPE_CPU) != 0 ? "cpu" : "accelerator";
}

std::vector<cl_device_id> all_devices(const OpenclApi& api) {
    cl_uint platform_count = 0;
    if (api.clGetPlatformIDs(0, nullptr, &platform_count) != CL_SUCCESS) return {};
    std::vector<cl_platform_id> platforms(platform_count);
    if (platform_count == 0 ||
        api.clGetPlatformIDs(platform_count, platforms.data(), nullptr) != CL_SUCCESS)
        return {};
    std::vector<cl_device_id> devices;
    for (const cl_platform_id platform : platforms) {
        cl_uint count = 0;
        if (api.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count) != CL_SUCCESS) continue;
        std::vector<cl_device_id> found(count);
        if (count == 0 ||
            api.clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, found.data(), nullptr) != CL_SUCCESS)
            continue;
        devices.insert(devices.end(), found.begin(), found.end());
    }
    return devices;
}

std::int64_t wall_clock_ms() {
    using namespace std::chrono;
    return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

/// A GPU's memory is what the pattern proved. A CPU device shares the host's memory with everything else,
/// so only a bounded piece of it is tried and the device's own statement is given for the size.
std::optional<CardCapacity> measure(const OpenclApi& api, cl_device_id device, const CardFacts& card,
                                    const MeasureOptions& options) {
    cl_ulong stated = 0;
    if (!read_value(api, device, CL_DEVICE_GLOBAL_MEM_SIZE, stated)) return std::nullopt;
    const auto stated_bytes = static_cast<std::int64_t>(stated);
    const bool is_cpu = card.device_class == "cpu";
    const std::int64_t bytes_max = is_cpu ? std::min(stated_bytes, options.cpu_bytes_max) : stated_bytes;
    try {
        const Measurement found = measure_device(api, device, bytes_max);
        return CardCapacity{is_cpu ? stated_bytes : found.proved_bytes, found.bandwidth_bytes_per_s,
                            found.fp32_flops, wall_clock_ms()};
    } catch (const std::exception& error) {
        spdlog::warn("{} could not be measured: {}", card.product, error.what());
        return std::nullopt;
    }
}

}  // namespace

const OpenclApi* opencl_api() {
    static const OpenclApi* const loaded = []() -> const OpenclApi* {
        void* const handle = ::dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
        if (handle == nullptr) return nullptr;
        static OpenclApi api;
        bool complete = true;
#define FALLOW_OPENCL(name)                                                 \
    api.name = reinterpret_cast<decltype(&::name)>(::dlsym(handle, #name)); \
    complete = complete && api.name != nullptr;
#include "agent/opencl_functions.def"
#undef FALLOW_OPENCL
        return complete ? &api : nullptr;
    }();
    return loaded;
}

std::string derived_uuid(const std::string& identity) {
    Sha256 hash;
    hash.update("fallow-opencl-device-v1\n" + identity);
    const std::string hex = hash.finish_hex();
    return "OCL-" + hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
           hex.substr(16, 4) + "-" + hex.substr(20, 12);
}

std::vector<CardFacts> opencl_cards(const MeasureOptions& options, const std::vector<CardFacts>& known) {
    const OpenclApi* const api = opencl_api();
    if (api == nullptr) return {};
    std::vector<CardFacts> cards;
    for (const cl_device_id device : all_devices(*api)) {
        CardFacts card;
        card.index = static_cast<std::int64_t>(cards.size());
        const std::string name = read_text(*api, device, CL_DEVICE_NAME);
        const std::string board = read_text(*api, device, amd_board_name);
        card.product = board.empty() ? name : board;
        card.vendor = read_text(*api, device, CL_DEVICE_VENDOR);
        card.driver_version = read_text(*api, device, CL_DRIVER_VERSION);
        card.device_class = device_class(*api, device);
        card.backend = "opencl";
        card.pci_address = pci_address(*api, device);
        const std::string place = card.pci_address.empty() ? std::to_string(card.index) : card.pci_address;
        card.uuid = derived_uuid(card.vendor + "\n" + name + "\n" + place);
        const auto before = std::find_if(known.begin(), known.end(), [&](const CardFacts& other) {
            const bool same_place = !card.pci_address.empty() && other.pci_address == card.pci_address;
            return other.capacity && (other.uuid == card.uuid || same_place);
        });
        if (before != known.end())
            card.capacity = before->capacity;
        else if (options.enabled)
            card.capacity = measure(*api, device, card, options);
        cards.push_back(std::move(card));
    }
    return cards;
}

}  // namespace fallow::agent

#include "agent/opencl.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "agent/crypto.hpp"
#include "agent/opencl_api.hpp"

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

/// AMD's kernel driver counts it; of NVIDIA's cards NVML knows.
std::optional<std::int64_t> used_bytes(const std::string& pci) {
    if (pci.empty()) return std::nullopt;
    std::ifstream file("/sys/bus/pci/devices/" + pci + "/mem_info_vram_used");
    std::int64_t used = 0;
    return file >> used ? std::optional(used) : std::nullopt;
}

CardFacts describe(const OpenclApi& api, cl_device_id device, std::int64_t index) {
    CardFacts card;
    card.index = index;
    const std::string name = read_text(api, device, CL_DEVICE_NAME);
    const std::string board = read_text(api, device, amd_board_name);
    card.product = board.empty() ? name : board;
    card.vendor = read_text(api, device, CL_DEVICE_VENDOR);
    card.driver_version = read_text(api, device, CL_DRIVER_VERSION);
    card.device_class = device_class(api, device);
    card.backend = "opencl";
    card.pci_address = pci_address(api, device);
    const std::string place = card.pci_address.empty() ? std::to_string(index) : card.pci_address;
    card.uuid = derived_uuid(card.vendor + "\n" + name + "\n" + place);
    cl_ulong stated = 0;
    read_value(api, device, CL_DEVICE_GLOBAL_MEM_SIZE, stated);
    card.claims.opencl_uuid = card.uuid;
    card.claims.opencl_product = card.product;
    card.claims.opencl_bytes = static_cast<std::int64_t>(stated);
    card.claims.used_bytes = used_bytes(card.pci_address);
    return card;
}

}  // namespace

std::optional<OpenclApi> load_opencl(const std::string& library) {
    void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return std::nullopt;
    OpenclApi api;
    bool complete = true;
#define FALLOW_OPENCL(name)                                                 \
    api.name = reinterpret_cast<decltype(&::name)>(::dlsym(handle, #name)); \
    complete = complete && api.name != nullptr;
#include "agent/opencl_functions.def"
#undef FALLOW_OPENCL
    return complete ? std::optional(api) : std::nullopt;
}

std::string derived_uuid(const std::string& identity) {
    Sha256 hash;
    hash.update("fallow-opencl-device-v1\n" + identity);
    const std::string hex = hash.finish_hex();
    return "OCL-" + hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
           hex.substr(16, 4) + "-" + hex.substr(20, 12);
}

std::vector<CardFacts> opencl_cards(const OpenclApi& api) {
    std::vector<CardFacts> cards;
    for (const cl_device_id device : all_devices(api))
        cards.push_back(describe(api, device, static_cast<std::int64_t>(cards.size())));
    return cards;
}

FoundDevice find_opencl_device(const OpenclApi& api, const std::string& opencl_uuid,
                               std::int64_t cpu_bytes_max) {
    std::int64_t index = 0;
    for (const cl_device_id device : all_devices(api)) {
        const CardFacts card = describe(api, device, index++);
        if (card.uuid != opencl_uuid) continue;
        const std::int64_t stated = card.claims.opencl_bytes;
        return {.driver = "opencl",
                .memory_bytes = card.device_class == "cpu" ? std::min(stated, cpu_bytes_max) : stated,
                .open = [api, device] { return std::make_unique<OpenclSession>(api, device); }};
    }
    throw std::runtime_error("OpenCL has the device no more");
}

}  // namespace fallow::agent

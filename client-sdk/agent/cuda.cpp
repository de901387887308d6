#include "agent/cuda.hpp"

#include <stdlib.h>

#include <algorithm>
#include <charconv>

#include "agent/cuda_api.hpp"
#include "agent/cuda_session.hpp"

namespace fallow::agent {
namespace {

constexpr int capability_major_min = 6;  // embed_text.cmake translates the kernels for 6.0

bool has_name(const cuda::Api& api, cuda::Device device, const UuidBytes& uuid) {
    cuda::Uuid name{};
    return api.uuid(&name, device) == cuda::success && std::ranges::equal(name.bytes, uuid);
}

std::optional<cuda::Device> device_named(const cuda::Api& api, const UuidBytes& uuid) {
    int count = 0;
    cuda::require(api, api.count(&count), "cuDeviceGetCount");
    for (int index = 0; index < count; ++index) {
        cuda::Device device = 0;
        cuda::require(api, api.by_index(&device, index), "cuDeviceGet");
        if (has_name(api, device, uuid)) return device;
    }
    return std::nullopt;
}

bool is_new_enough(const cuda::Api& api, cuda::Device device) {
    int major = 0;
    cuda::require(api, api.attribute(&major, cuda::compute_capability_major, device),
                  "cuDeviceGetAttribute");
    return major >= capability_major_min;
}

std::optional<FoundDevice> find_shown(const cuda::Api& api, const UuidBytes& uuid) {
    const cuda::Result started = api.init(0);
    if (started == cuda::no_device) return std::nullopt;
    cuda::require(api, started, "cuInit");
    const auto device = device_named(api, uuid);
    if (!device || !is_new_enough(api, *device)) return std::nullopt;
    std::size_t bytes = 0;
    cuda::require(api, api.memory(&bytes, *device), "cuDeviceTotalMem");
    return FoundDevice{
        .driver = "cuda",
        .memory_bytes = static_cast<std::int64_t>(bytes),
        .open = [api, handle = *device] { return std::make_unique<CudaSession>(api, handle); }};
}

std::optional<unsigned char> octet(std::string_view figures) {
    unsigned char value = 0;
    const auto [end, error] = std::from_chars(figures.data(), figures.data() + figures.size(), value, 16);
    return error == std::errc() && end == figures.data() + figures.size() ? std::optional(value)
                                                                          : std::nullopt;
}

}  // namespace

std::optional<UuidBytes> parse_nvml_uuid(std::string_view text) {
    if (!text.starts_with("GPU-") && !text.starts_with("MIG-")) return std::nullopt;
    std::string figures(text.substr(4));
    std::erase(figures, '-');
    UuidBytes uuid{};
    if (figures.size() != 2 * uuid.size()) return std::nullopt;
    for (std::size_t i = 0; i < uuid.size(); ++i) {
        const auto value = octet(std::string_view(figures).substr(2 * i, 2));
        if (!value) return std::nullopt;
        uuid[i] = *value;
    }
    return uuid;
}

bool has_cuda(const std::string& library, const std::string& nvml_uuid,
              const std::optional<std::string>& capability) {
    int major = 0;
    if (capability) std::from_chars(capability->data(), capability->data() + capability->size(), major);
    return major >= capability_major_min && parse_nvml_uuid(nvml_uuid) && cuda::load(library);
}

std::optional<FoundDevice> find_cuda_device(const std::string& library, const std::string& nvml_uuid) {
    const auto uuid = parse_nvml_uuid(nvml_uuid);
    const auto api = uuid ? cuda::load(library) : std::nullopt;
    if (!api) return std::nullopt;
    // One card is started sooner than all of them, and an instance is shown only to who names it.
    constexpr const char* shown = "CUDA_VISIBLE_DEVICES";
    ::setenv(shown, nvml_uuid.c_str(), 1);
    auto found = find_shown(*api, *uuid);
    if (!found) ::unsetenv(shown);  // NVIDIA's OpenCL heeds it, too
    return found;
}

}  // namespace fallow::agent

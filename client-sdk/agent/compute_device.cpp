#include "agent/compute_device.hpp"

namespace fallow::agent {

ArgumentPlace place_of(const KernelArgument& argument) {
    static_assert(sizeof(DeviceBuffer) == sizeof(void*));
    return std::visit([](const auto& value) { return ArgumentPlace{&value, sizeof value}; }, argument);
}

DeviceBuffer ComputeDevice::buffer(std::int64_t bytes) {
    const DeviceBuffer made = try_buffer(bytes);
    if (made == DeviceBuffer{})
        throw ComputeError("the device has no room for a buffer of " + std::to_string(bytes) + " bytes");
    return made;
}

void ComputeDevice::run(const std::string& kernel, const KernelArguments& arguments, std::int64_t items) {
    if (!try_run(kernel, arguments, items))
        throw ComputeError("the device could not carry out the kernel " + kernel);
}

}  // namespace fallow::agent

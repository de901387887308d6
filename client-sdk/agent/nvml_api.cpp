#include "agent/nvml_api.hpp"

#include <dlfcn.h>

namespace fallow::agent::nvml {
namespace {

template <class Function>
bool find(void* handle, const char* symbol, Function& function) {
    function = reinterpret_cast<Function>(::dlsym(handle, symbol));
    return function != nullptr;
}

void find_rest(Api& a) {
    find(a.handle, "nvmlSystemGetCudaDriverVersion_v2", a.cuda);
    find(a.handle, "nvmlDeviceGetCudaComputeCapability", a.capability);
    find(a.handle, "nvmlDeviceGetMaxPcieLinkGeneration", a.pcie_generation_max);
    find(a.handle, "nvmlDeviceGetMaxPcieLinkWidth", a.pcie_width_max);
    find(a.handle, "nvmlDeviceGetCurrPcieLinkGeneration", a.pcie_generation);
    find(a.handle, "nvmlDeviceGetCurrPcieLinkWidth", a.pcie_width);
    find(a.handle, "nvmlDeviceGetEnforcedPowerLimit", a.power_limit);
    find(a.handle, "nvmlDeviceGetPowerUsage", a.power);
    find(a.handle, "nvmlDeviceGetTemperature", a.temperature);
    find(a.handle, "nvmlDeviceGetClockInfo", a.clock);
    find(a.handle, "nvmlDeviceGetMaxClockInfo", a.clock_max);
    find(a.handle, "nvmlDeviceGetEccMode", a.ecc_mode);
    find(a.handle, "nvmlDeviceGetTotalEccErrors", a.ecc_errors);
    find(a.handle, "nvmlDeviceGetNvLinkState", a.link_state);
    find(a.handle, "nvmlDeviceGetNvLinkRemotePciInfo_v2", a.link_peer);
    find(a.handle, "nvmlDeviceGetNvLinkRemoteDeviceType", a.link_peer_kind);
    find(a.handle, "nvmlDeviceGetFieldValues", a.fields);
    find(a.handle, "nvmlDeviceGetMigMode", a.mig_mode);
    find(a.handle, "nvmlDeviceGetMaxMigDeviceCount", a.mig_count_max);
    find(a.handle, "nvmlDeviceGetMigDeviceHandleByIndex", a.mig_by_index);
    find(a.handle, "nvmlDeviceGetAttributes_v2", a.attributes);
    find(a.handle, "nvmlDeviceGetUtilizationRates", a.utilization);
    find(a.handle, "nvmlDeviceGetTotalEnergyConsumption", a.energy);
    find(a.handle, "nvmlDeviceGetPcieReplayCounter", a.pcie_replays);
    find(a.handle, "nvmlDeviceGetEncoderUtilization", a.encoder);
    find(a.handle, "nvmlDeviceGetDecoderUtilization", a.decoder);
    find(a.handle, "nvmlDeviceGetHandleByUUID", a.by_uuid);
    load_processes(a);
}

}  // namespace

void load_processes(Api& a) {
    find(a.handle, "nvmlDeviceGetComputeRunningProcesses_v3", a.compute_processes);
    find(a.handle, "nvmlDeviceGetGraphicsRunningProcesses_v3", a.graphics_processes);
}

bool load(Api& a) {
    const bool is_complete =
        find(a.handle, "nvmlInit_v2", a.init) && find(a.handle, "nvmlShutdown", a.shutdown) &&
        find(a.handle, "nvmlDeviceGetCount_v2", a.count) &&
        find(a.handle, "nvmlDeviceGetHandleByIndex_v2", a.by_index) &&
        find(a.handle, "nvmlDeviceGetUUID", a.uuid) && find(a.handle, "nvmlDeviceGetName", a.name) &&
        find(a.handle, "nvmlDeviceGetPciInfo_v3", a.pci) &&
        find(a.handle, "nvmlDeviceGetMemoryInfo_v2", a.memory) &&
        find(a.handle, "nvmlSystemGetDriverVersion", a.driver);
    find_rest(a);
    return is_complete;
}

}  // namespace fallow::agent::nvml

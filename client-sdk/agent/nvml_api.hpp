// The functions of NVML that discovery and telemetry use, with our own declarations of them. The layouts
// and names are NVML's ABI, fixed by the version suffixes of its functions (NVML API reference, chapters
// "Initialization and Cleanup", "Device Queries", "Multi Instance GPU Management", "NvLink Methods", "Field
// Value Queries").
#pragma once

namespace fallow::agent::nvml {

using Device = void*;
using Return = int;
inline constexpr Return success = 0;
inline constexpr Return gpu_is_lost = 15;

struct PciInfo {  // nvmlPciInfo_t of nvmlDeviceGetPciInfo_v3
    char bus_id_legacy[16];
    unsigned int domain;
    unsigned int bus;
    unsigned int device;
    unsigned int pci_device_id;
    unsigned int pci_subsystem_id;
    char bus_id[32];
};
static_assert(sizeof(PciInfo) == 68);

struct Memory {  // nvmlMemory_v2_t
    unsigned int version;
    unsigned long long total;
    unsigned long long reserved;
    unsigned long long free;
    unsigned long long used;
};
static_assert(sizeof(Memory) == 40);
inline constexpr unsigned int memory_version_2 = static_cast<unsigned int>(sizeof(Memory) | (2U << 24));

struct FieldValue {  // nvmlFieldValue_t
    unsigned int field;
    unsigned int scope;
    long long timestamp;
    long long latency_us;
    unsigned int type;
    Return result;
    union {
        double real;
        unsigned int number;
        unsigned long long large;
    } value;
};
static_assert(sizeof(FieldValue) == 40);

struct Attributes {  // nvmlDeviceAttributes_t of nvmlDeviceGetAttributes_v2
    unsigned int multiprocessors;
    unsigned int copy_engines;
    unsigned int decoders;
    unsigned int encoders;
    unsigned int jpeg_engines;
    unsigned int flow_engines;
    unsigned int gpu_slices;
    unsigned int compute_slices;
    unsigned long long memory_mib;
};
static_assert(sizeof(Attributes) == 40);

struct ProcessInfo {  // nvmlProcessInfo_t of nvmlDeviceGetComputeRunningProcesses_v3
    unsigned int pid;
    unsigned long long used_bytes;  ///< all bits: not available
    unsigned int gpu_instance;
    unsigned int compute_instance;
};
static_assert(sizeof(ProcessInfo) == 24);

struct Utilization {  // nvmlUtilization_t
    unsigned int gpu;
    unsigned int memory;
};

struct Api {
    void* handle = nullptr;
    Return (*init)() = nullptr;
    Return (*shutdown)() = nullptr;
    Return (*count)(unsigned int*) = nullptr;
    Return (*by_index)(unsigned int, Device*) = nullptr;
    Return (*uuid)(Device, char*, unsigned int) = nullptr;
    Return (*name)(Device, char*, unsigned int) = nullptr;
    Return (*pci)(Device, PciInfo*) = nullptr;
    Return (*memory)(Device, Memory*) = nullptr;
    Return (*driver)(char*, unsigned int) = nullptr;
    // What an older library may lack, and a card may not know
    using Number = Return (*)(Device, unsigned int*);
    Return (*cuda)(int*) = nullptr;
    Return (*capability)(Device, int*, int*) = nullptr;
    Number pcie_generation_max = nullptr;
    Number pcie_width_max = nullptr;
    Number pcie_generation = nullptr;
    Number pcie_width = nullptr;
    Number power_limit = nullptr;                                           ///< milliwatts
    Number power = nullptr;                                                 ///< milliwatts
    Return (*temperature)(Device, int, unsigned int*) = nullptr;            ///< of a sensor
    Return (*clock)(Device, int, unsigned int*) = nullptr;                  ///< of a domain
    Return (*clock_max)(Device, int, unsigned int*) = nullptr;              ///< of a domain
    Return (*ecc_mode)(Device, unsigned int*, unsigned int*) = nullptr;     ///< now, after a reboot
    Return (*ecc_errors)(Device, int, int, unsigned long long*) = nullptr;  ///< of a kind, by a counter
    Return (*link_state)(Device, unsigned int, unsigned int*) = nullptr;
    Return (*link_peer)(Device, unsigned int, PciInfo*) = nullptr;
    Return (*link_peer_kind)(Device, unsigned int, unsigned int*) = nullptr;
    Return (*fields)(Device, int, FieldValue*) = nullptr;
    Return (*mig_mode)(Device, unsigned int*, unsigned int*) = nullptr;  ///< now, after a reset
    Number mig_count_max = nullptr;
    Return (*mig_by_index)(Device, unsigned int, Device*) = nullptr;
    Return (*attributes)(Device, Attributes*) = nullptr;
    Return (*utilization)(Device, Utilization*) = nullptr;
    Return (*energy)(Device, unsigned long long*) = nullptr;  ///< millijoules since the driver was loaded
    Number pcie_replays = nullptr;
    Return (*encoder)(Device, unsigned int*, unsigned int*) = nullptr;  ///< percent, sampling period in us
    Return (*decoder)(Device, unsigned int*, unsigned int*) = nullptr;
    Return (*by_uuid)(const char*, Device*) = nullptr;
    using Processes = Return (*)(Device, unsigned int*, ProcessInfo*);  ///< room in, number out
    Processes compute_processes = nullptr;
    Processes graphics_processes = nullptr;
};

/// False when a function is missing that no card can be described without.
[[nodiscard]] bool load(Api& api);
/// Only what tells of processes, of the library that `api.handle` is.
void load_processes(Api& api);

}  // namespace fallow::agent::nvml

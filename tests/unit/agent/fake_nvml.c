/* A stand-in for libnvidia-ml.so.1, built as a shared object by nvml_test: it has the structure layouts of NVML's
   published interface written down a second time, so that an error in the agent's own shows.

   FAKE_NAME, FAKE_VRAM_BYTES, FAKE_USED_BYTES  what the cards say of themselves
   FAKE_HANG       asking for a name never ends
   FAKE_XID        the driver reports this error of a card once it is listened for
   FAKE_FALLS_OFF  the card is lost while it is listened to */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#ifndef FAKE_NAME
#define FAKE_NAME "NVIDIA Test Card"
#endif
#ifndef FAKE_VRAM_BYTES
#define FAKE_VRAM_BYTES (80ull << 30)
#endif
#ifndef FAKE_USED_BYTES
#define FAKE_USED_BYTES 0
#endif

typedef struct {
    char busIdLegacy[16];
    unsigned int domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} PciInfo;

typedef struct {
    unsigned int version;
    unsigned long long total, reserved, free, used;
} MemoryV2;

static int started;

int nvmlInit_v2(void) {
    started = 1;
    return 0;
}
int nvmlShutdown(void) {
    started = 0;
    return 0;
}
int nvmlDeviceGetCount_v2(unsigned int* count) {
    if (!started) return 1;
    *count = 3;
    return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void** device) {
    if (index > 2) return 2;
    *device = (void*)(unsigned long)(index + 1);
    return 0;
}
int nvmlDeviceGetUUID(void* device, char* text, unsigned int size) {
    if (device == (void*)2) return 15; /* lost from the bus */
    strncpy(text, device == (void*)1 ? "GPU-one" : "GPU-three", size);
    return 0;
}
int nvmlDeviceGetName(void* device, char* text, unsigned int size) {
    (void)device;
#ifdef FAKE_HANG
    for (;;) pause();
#endif
    strncpy(text, FAKE_NAME, size);
    return 0;
}
int nvmlDeviceGetPciInfo_v3(void* device, PciInfo* info) {
    memset(info, 0x55, sizeof *info);
    strcpy(info->busId, device == (void*)1 ? "00000000:41:00.0" : "00000000:C1:00.0");
    return 0;
}
int nvmlDeviceGetMemoryInfo_v2(void* device, MemoryV2* memory) {
    (void)device;
    if (memory->version != (sizeof(MemoryV2) | (2u << 24))) return 25;
    memory->total = FAKE_VRAM_BYTES;
    memory->reserved = memory->free = 0;
    memory->used = FAKE_USED_BYTES;
    return 0;
}
int nvmlSystemGetCudaDriverVersion_v2(int* version) {
    *version = 12040;
    return 0;
}
int nvmlDeviceGetCudaComputeCapability(void* device, int* major, int* minor) {
    (void)device;
    *major = 9;
    *minor = 0;
    return 0;
}
int nvmlDeviceGetMaxPcieLinkGeneration(void* device, unsigned int* generation) {
    *generation = 5;
    return device == (void*)1 ? 0 : 3; /* not supported */
}
int nvmlDeviceGetMaxPcieLinkWidth(void* device, unsigned int* width) {
    (void)device;
    *width = 16;
    return 0;
}
int nvmlDeviceGetEnforcedPowerLimit(void* device, unsigned int* milliwatts) {
    (void)device;
    *milliwatts = 700000;
    return 0;
}
int nvmlSystemGetDriverVersion(char* text, unsigned int size) {
    strncpy(text, "550.1", size);
    return 0;
}

typedef struct {
    void* device;
    unsigned long long type, data;
    unsigned int gpuInstanceId, computeInstanceId;
} EventData;

int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
    *device = (void*)1;
    return strcmp(uuid, "GPU-one") == 0 ? 0 : 6; /* not found */
}
int nvmlEventSetCreate(void** set) {
    static int one;
    *set = &one;
    return 0;
}
int nvmlDeviceRegisterEvents(void* device, unsigned long long types, void* set) {
    return device == (void*)1 && types == 8 && set != NULL ? 0 : 2;
}
int nvmlEventSetWait_v2(void* set, EventData* data, unsigned int timeout_ms) {
    (void)set;
    (void)timeout_ms;
#ifdef FAKE_FALLS_OFF
    return 15;
#endif
#ifdef FAKE_XID
    static int told;
    if (!told++) {
        data->device = (void*)1;
        data->type = 8;
        data->data = FAKE_XID;
        return 0;
    }
#endif
    (void)data;
    return 10; /* nothing came */
}
int nvmlEventSetFree(void* set) {
    (void)set;
    return 0;
}

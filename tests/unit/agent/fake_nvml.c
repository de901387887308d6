/* A stand-in for libnvidia-ml.so.1, built as a shared object by nvml_test: it has the structure layouts of NVML's
   published interface written down a second time, so that an error in the agent's own shows.

   FAKE_NAME, FAKE_VRAM_BYTES, FAKE_USED_BYTES  what the cards say of themselves
   FAKE_UUID       the first card's
   FAKE_HANG       asking for a name never ends
   FAKE_XID        the driver reports this error of a card once it is listened for
   FAKE_FALLS_OFF  the card is lost while it is listened to
   FAKE_LINKS      which cards reach which: "direct", each other by two links; "switch", each an NVSwitch by
                   two; "stranger", each a card that is not here
   FAKE_MIG        the first card is divided into so many instances
   FAKE_MIG_UUID   what their UUIDs begin with, before a figure
   FAKE_MIG_BYTES  the memory of each
   FAKE_MIG_NAMED  NVML names the instances by their profile, as it does since R470
   FAKE_ECC_ERRORS errors that memory could not correct
   FAKE_BUSY       utilisation in percent
   FAKE_PROCESSES  a file whose lines are the processes on the first card, read at each question: "c" (computes) or
                   "g" (draws), the number, the bytes; "c 17 -1" tells no bytes */
#include <stddef.h>
#include <stdio.h>
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
#ifndef FAKE_UUID
#define FAKE_UUID "GPU-one"
#endif
#ifndef FAKE_MIG_UUID
#define FAKE_MIG_UUID "MIG-"
#endif
#ifndef FAKE_MIG_BYTES
#define FAKE_MIG_BYTES (5ull << 30)
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
/* Instances are devices from 101 on. */
static int is_instance(void* device) {
    return (unsigned long)device > 100;
}
int nvmlDeviceGetUUID(void* device, char* text, unsigned int size) {
    if (is_instance(device)) {
        snprintf(text, size, FAKE_MIG_UUID "%lu", (unsigned long)device - 100);
        return 0;
    }
    if (device == (void*)2) return 15; /* lost from the bus */
    strncpy(text, device == (void*)1 ? FAKE_UUID : "GPU-three", size);
    return 0;
}
int nvmlDeviceGetName(void* device, char* text, unsigned int size) {
    (void)device;
#ifdef FAKE_HANG
    for (;;) pause();
#endif
    strncpy(text, FAKE_NAME, size);
#ifdef FAKE_MIG_NAMED
    if (is_instance(device)) strncat(text, " MIG 3g.40gb", size - strlen(text) - 1);
#endif
    return 0;
}
int nvmlDeviceGetPciInfo_v3(void* device, PciInfo* info) {
    memset(info, 0x55, sizeof *info);
    strcpy(info->busId, device == (void*)1 ? "00000000:41:00.0" : "00000000:C1:00.0");
    return 0;
}
int nvmlDeviceGetMemoryInfo_v2(void* device, MemoryV2* memory) {
    if (memory->version != (sizeof(MemoryV2) | (2u << 24))) return 25;
    memory->total = is_instance(device) ? FAKE_MIG_BYTES : FAKE_VRAM_BYTES;
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

int nvmlDeviceGetPowerUsage(void* device, unsigned int* milliwatts) {
    (void)device;
    *milliwatts = 93400;
    return 0;
}
int nvmlDeviceGetTemperature(void* device, int sensor, unsigned int* celsius) {
    (void)device;
    *celsius = 41;
    return sensor == 0 ? 0 : 2;
}
int nvmlDeviceGetClockInfo(void* device, int domain, unsigned int* mhz) {
    (void)device;
    *mhz = domain == 2 ? 1593 : 345;
    return domain == 1 || domain == 2 ? 0 : 2;
}
int nvmlDeviceGetMaxClockInfo(void* device, int domain, unsigned int* mhz) {
    (void)device;
    *mhz = 1980;
    return domain == 1 ? 0 : 2;
}
int nvmlDeviceGetCurrPcieLinkGeneration(void* device, unsigned int* generation) {
    (void)device;
    *generation = 1;
    return 0;
}
int nvmlDeviceGetCurrPcieLinkWidth(void* device, unsigned int* width) {
    (void)device;
    *width = 8;
    return 0;
}
#ifndef FAKE_ECC_ERRORS
#define FAKE_ECC_ERRORS 0
#endif
int nvmlDeviceGetEccMode(void* device, unsigned int* now, unsigned int* later) {
    *now = 1;
    *later = 0;
    return device == (void*)1 ? 0 : 3; /* not supported */
}
int nvmlDeviceGetTotalEccErrors(void* device, int kind, int counter, unsigned long long* count) {
    (void)device;
    *count = kind == 1 ? FAKE_ECC_ERRORS : 3 + counter;
    return kind <= 1 && counter <= 1 ? 0 : 2;
}
#ifndef FAKE_BUSY
#define FAKE_BUSY 73
#endif
typedef struct {
    unsigned int gpu, memory;
} Rates;
int nvmlDeviceGetUtilizationRates(void* device, Rates* rates) {
    rates->gpu = FAKE_BUSY;
    rates->memory = 9;
    return device == (void*)1 ? 0 : 3; /* not supported */
}
int nvmlDeviceGetTotalEnergyConsumption(void* device, unsigned long long* millijoules) {
    (void)device;
    *millijoules = 5000000000ull;
    return 0;
}
int nvmlDeviceGetPcieReplayCounter(void* device, unsigned int* count) {
    (void)device;
    *count = 4;
    return 0;
}
int nvmlDeviceGetEncoderUtilization(void* device, unsigned int* percent, unsigned int* period_us) {
    (void)device;
    *percent = 11;
    *period_us = 1000;
    return 0;
}
int nvmlDeviceGetDecoderUtilization(void* device, unsigned int* percent, unsigned int* period_us) {
    (void)device;
    (void)percent;
    (void)period_us;
    return 3;
}

/* Three links, of which the last is down. */
int nvmlDeviceGetNvLinkState(void* device, unsigned int link, unsigned int* is_up) {
    (void)device;
#ifdef FAKE_LINKS
    if (link > 2) return 2;
    *is_up = link < 2;
    return 0;
#else
    (void)link;
    (void)is_up;
    return 3;
#endif
}
#ifdef FAKE_LINKS
int nvmlDeviceGetNvLinkRemoteDeviceType(void* device, unsigned int link, unsigned int* kind) {
    (void)device;
    *kind = strcmp(FAKE_LINKS, "switch") == 0 ? 2 : 0;
    return link < 2 ? 0 : 2;
}
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void* device, unsigned int link, PciInfo* info) {
    memset(info, 0x55, sizeof *info);
    strcpy(info->busId, strcmp(FAKE_LINKS, "direct") != 0 ? "00000000:99:00.0"
                        : device == (void*)1              ? "00000000:C1:00.0"
                                                          : "00000000:41:00.0");
    return link < 2 ? 0 : 2;
}
#endif
typedef struct {
    unsigned int fieldId, scopeId;
    long long timestamp, latencyUsec;
    unsigned int valueType;
    int nvmlReturn;
    union {
        double dVal;
        unsigned int uiVal;
        unsigned long long ullVal;
    } value;
} Field;
int nvmlDeviceGetFieldValues(void* device, int count, Field* fields) {
    (void)device;
    for (int i = 0; i < count; ++i) {
        fields[i].nvmlReturn = fields[i].fieldId == 90 ? 0 : 3;
        fields[i].value.uiVal = 26562;
    }
    return 0;
}

#ifdef FAKE_MIG
int nvmlDeviceGetMigMode(void* device, unsigned int* now, unsigned int* later) {
    *now = *later = device == (void*)1;
    return 0;
}
int nvmlDeviceGetMaxMigDeviceCount(void* device, unsigned int* count) {
    (void)device;
    *count = 7;
    return 0;
}
/* Every second place is taken. */
int nvmlDeviceGetMigDeviceHandleByIndex(void* device, unsigned int index, void** instance) {
    if (device != (void*)1) return 2;
    if (index % 2 || index / 2 >= FAKE_MIG) return 6;
    *instance = (void*)(unsigned long)(101 + index / 2);
    return 0;
}
typedef struct {
    unsigned int multiprocessorCount, sharedCopyEngineCount, sharedDecoderCount, sharedEncoderCount, sharedJpegCount,
        sharedOfaCount, gpuInstanceSliceCount, computeInstanceSliceCount;
    unsigned long long memorySizeMB;
} Attributes;
int nvmlDeviceGetAttributes_v2(void* device, Attributes* attributes) {
    if (!is_instance(device)) return 3;
    memset(attributes, 0x55, sizeof *attributes);
    attributes->gpuInstanceSliceCount = 1;
    attributes->computeInstanceSliceCount = 1;
    attributes->memorySizeMB = 4864;
    return 0;
}
#endif

#ifdef FAKE_PROCESSES
typedef struct {
    unsigned int pid;
    unsigned long long usedGpuMemory;
    unsigned int gpuInstanceId, computeInstanceId;
} ProcessInfo;
static int processes(void* device, char wanted, unsigned int* count, ProcessInfo* infos) {
    unsigned int room = *count, pid;
    long long bytes;
    char kind;
    *count = 0;
    if (device != (void*)1) return 3; /* not supported */
    FILE* script = fopen(FAKE_PROCESSES, "r");
    if (script == NULL) return 0;
    while (fscanf(script, " %c %u %lld", &kind, &pid, &bytes) == 3) {
        if (kind != wanted) continue;
        if (*count < room) infos[*count] = (ProcessInfo){pid, (unsigned long long)bytes, ~0u, ~0u};
        ++*count;
    }
    fclose(script);
    return *count > room ? 7 : 0; /* insufficient size */
}
int nvmlDeviceGetComputeRunningProcesses_v3(void* device, unsigned int* count, ProcessInfo* infos) {
    return processes(device, 'c', count, infos);
}
int nvmlDeviceGetGraphicsRunningProcesses_v3(void* device, unsigned int* count, ProcessInfo* infos) {
    return processes(device, 'g', count, infos);
}
#endif

typedef struct {
    void* device;
    unsigned long long type, data;
    unsigned int gpuInstanceId, computeInstanceId;
} EventData;

int nvmlDeviceGetHandleByUUID(const char* uuid, void** device) {
    *device = (void*)1;
    return strcmp(uuid, FAKE_UUID) == 0 ? 0 : 6; /* not found */
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

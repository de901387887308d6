/* A stand-in for librocm_smi64.so.1, after its documented interface: three devices, of which the second is a
   partition of the first, and the third knows little of itself.

   FAKE_HANG      the start never ends
   FAKE_REFUSES   the start fails
   FAKE_OLD       from before there was rsmi_dev_power_get */
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

enum { SUCCESS = 0, INVALID_ARGS = 1, NOT_SUPPORTED = 2 };
static int started;

int rsmi_init(uint64_t flags) {
#ifdef FAKE_HANG
    for (;;) pause();
#endif
#ifdef FAKE_REFUSES
    return NOT_SUPPORTED;
#endif
    started = 1;
    return flags == 0 ? SUCCESS : INVALID_ARGS;
}
int rsmi_shut_down(void) {
    started = 0;
    return SUCCESS;
}
int rsmi_num_monitor_devices(uint32_t* count) {
    *count = 3;
    return started ? SUCCESS : NOT_SUPPORTED;
}
int rsmi_dev_pci_id_get(uint32_t device, uint64_t* id) {
    static const uint64_t ids[] = {0x4300, 0x10004300, 0x100000a19};
    if (device > 2) return INVALID_ARGS;
    *id = ids[device];
    return SUCCESS;
}
int rsmi_dev_market_name_get(uint32_t device, char* name, uint32_t size) {
    if (device != 0) return NOT_SUPPORTED;
    snprintf(name, size, "AMD Instinct MI210");
    return SUCCESS;
}
int rsmi_dev_name_get(uint32_t device, char* name, size_t size) {
    (void)device;
    snprintf(name, size, "0x740f");
    return SUCCESS;
}
int rsmi_dev_memory_usage_get(uint32_t device, int kind, uint64_t* bytes) {
    *bytes = 12345;
    return device == 0 && kind == 0 ? SUCCESS : NOT_SUPPORTED;
}
#ifndef FAKE_OLD
int rsmi_dev_power_get(uint32_t device, uint64_t* microwatts, int* kind) {
    *microwatts = 45000000;
    *kind = 1;
    return device == 0 ? SUCCESS : NOT_SUPPORTED;
}
#endif
int rsmi_dev_power_ave_get(uint32_t device, uint32_t sensor, uint64_t* microwatts) {
    *microwatts = 39000000;
    return device == 0 && sensor == 0 ? SUCCESS : NOT_SUPPORTED;
}
int rsmi_dev_power_cap_get(uint32_t device, uint32_t sensor, uint64_t* microwatts) {
    *microwatts = 290000000;
    return device == 0 && sensor == 0 ? SUCCESS : NOT_SUPPORTED;
}
int rsmi_dev_temp_metric_get(uint32_t device, uint32_t sensor, int metric, int64_t* millidegrees) {
    *millidegrees = 37500;
    return device == 0 && sensor == 0 && metric == 0 ? SUCCESS : NOT_SUPPORTED;
}

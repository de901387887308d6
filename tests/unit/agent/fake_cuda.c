/* A stand-in for libcuda.so.1 with one device, which says that it has FAKE_CLAIMED_MIB of memory. That memory lies in
   the file FAKE_VRAM, where a test finds what a process has left in it; the kernels of verify.cl are carried out here,
   by their names. The driver's interface is written down a second time, so that an error in the agent's own shows.

   FAKE_VRAM             the file, as a C string
   FAKE_UUID             the device's, as NVML has it; CUDA_VISIBLE_DEVICES is heeded
   FAKE_BACKED_MIB       what is really there: address a is the same memory as address a modulo this
   FAKE_ALLOCATABLE_MIB  more than this cannot be had, because somebody has the rest; by default what it claims
   FAKE_CAPABILITY       the first figure of its compute capability
   FAKE_FAILS_AFTER      so many kernels are carried out, and then the context is dead
   FAKE_HANG             the first wait for the device never ends */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef FAKE_UUID
#define FAKE_UUID "GPU-00112233-4455-6677-8899-aabbccddee00"
#endif
#ifndef FAKE_BACKED_MIB
#define FAKE_BACKED_MIB FAKE_CLAIMED_MIB
#endif
#ifndef FAKE_ALLOCATABLE_MIB
#define FAKE_ALLOCATABLE_MIB FAKE_CLAIMED_MIB
#endif
#ifndef FAKE_CAPABILITY
#define FAKE_CAPABILITY 9
#endif
#ifndef FAKE_FAILS_AFTER
#define FAKE_FAILS_AFTER 1000000
#endif
#define MIB ((size_t)1 << 20)
#define BACKED ((size_t)FAKE_BACKED_MIB * MIB)
#define PAGE ((size_t)4096)

enum { OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 100, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700 };
enum { BLOCKS_MAX = 4096 };

typedef struct {
    char* place;
    size_t address, size;
} Block;

static int started, memory = -1, blocks_count, launches;
static int a_context, a_module;
static const char* program;
static Block blocks[BLOCKS_MAX];

int cuInit(unsigned int flags) {
    const char* const shown = getenv("CUDA_VISIBLE_DEVICES");
    if (flags != 0) return INVALID_VALUE;
    if (shown != NULL && strcmp(shown, FAKE_UUID) != 0) return NO_DEVICE;
    started = 1;
    return OK;
}

int cuGetErrorName(int code, const char** name) {
    *name = code == ILLEGAL_ADDRESS ? "CUDA_ERROR_ILLEGAL_ADDRESS" : NULL;
    return *name != NULL ? OK : INVALID_VALUE;
}

int cuDeviceGetCount(int* count) {
    *count = started;
    return OK;
}

int cuDeviceGet(int* device, int index) {
    *device = 7;
    return started && index == 0 ? OK : INVALID_VALUE;
}

int cuDeviceGetUuid_v2(unsigned char* uuid, int device) {
    const char* figures = FAKE_UUID + 4;
    for (int i = 0; i < 16; ++i) {
        unsigned int octet = 0;
        if (*figures == '-') ++figures;
        if (sscanf(figures, "%2x", &octet) != 1) return INVALID_VALUE;
        uuid[i] = (unsigned char)octet;
        figures += 2;
    }
    return device == 7 ? OK : INVALID_VALUE;
}

int cuDeviceTotalMem_v2(size_t* bytes, int device) {
    *bytes = FAKE_CLAIMED_MIB * MIB;
    return device == 7 ? OK : INVALID_VALUE;
}

int cuDeviceGetAttribute(int* value, int attribute, int device) {
    *value = attribute == 75 ? FAKE_CAPABILITY : 0;
    return device == 7 && attribute == 75 ? OK : INVALID_VALUE;
}

int cuCtxCreate_v2(void** context, unsigned int flags, int device) {
    memory = open(FAKE_VRAM, O_RDWR | O_CREAT, 0600);
    if (memory < 0 || ftruncate(memory, (off_t)BACKED) != 0) return INVALID_VALUE;
    *context = &a_context;
    return flags == 0 && device == 7 ? OK : INVALID_VALUE;
}

int cuCtxDestroy_v2(void* context) {
    while (blocks_count > 0) {
        --blocks_count;
        munmap(blocks[blocks_count].place, blocks[blocks_count].size);
    }
    close(memory);
    return context == &a_context ? OK : INVALID_VALUE;
}

int cuModuleLoadData(void** module, const void* image) {
    program = image;
    *module = &a_module;
    return strstr(program, ".target sm_60") != NULL ? OK : INVALID_VALUE;
}

/* A function is its name. */
int cuModuleGetFunction(void** function, void* module, const char* name) {
    static const char* const names[] = {"fill", "check", "wipe", "copy", "multiply", "multiply_half"};
    char head[64];
    snprintf(head, sizeof head, ".visible .entry %s(", name);
    if (module != &a_module || strstr(program, head) == NULL) return NOT_FOUND;
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        if (strcmp(name, names[i]) != 0) continue;
        *function = (void*)names[i];
        return OK;
    }
    return NOT_FOUND;
}

/* `size` bytes of address space that are the card's memory from `address` on, round and round. */
static char* map_round(size_t address, size_t size) {
    char* const start = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t done = 0; done < size;) {
        const size_t at = (address + done) % BACKED;
        const size_t piece = size - done < BACKED - at ? size - done : BACKED - at;
        if (mmap(start + done, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory, (off_t)at) == MAP_FAILED)
            abort();
        done += piece;
    }
    return start;
}

int cuMemAlloc_v2(unsigned long long* pointer, size_t size) {
    const Block* const last = blocks_count > 0 ? &blocks[blocks_count - 1] : NULL;
    const size_t address = last != NULL ? last->address + last->size : 0;
    const size_t whole = (size + PAGE - 1) / PAGE * PAGE;
    if (blocks_count == BLOCKS_MAX || address + whole > FAKE_ALLOCATABLE_MIB * MIB) return OUT_OF_MEMORY;
    blocks[blocks_count] = (Block){map_round(address, whole), address, whole};
    *pointer = (uintptr_t)blocks[blocks_count++].place;
    return OK;
}

int cuMemFree_v2(unsigned long long pointer) {
    for (int i = 0; i < blocks_count; ++i) {
        if ((uintptr_t)blocks[i].place != pointer) continue;
        munmap(blocks[i].place, blocks[i].size);
        memmove(&blocks[i], &blocks[i + 1], (size_t)(--blocks_count - i) * sizeof *blocks);
        return OK;
    }
    return INVALID_VALUE;
}

int cuMemcpyHtoD_v2(unsigned long long to, const void* from, size_t size) {
    memcpy((void*)(uintptr_t)to, from, size);
    return OK;
}

int cuMemcpyDtoH_v2(void* to, unsigned long long from, size_t size) {
    memcpy(to, (const void*)(uintptr_t)from, size);
    return OK;
}

int cuMemHostAlloc(void** place, size_t size, unsigned int flags) {
    *place = malloc(size);
    return *place != NULL && flags == 0 ? OK : OUT_OF_MEMORY;
}

int cuMemFreeHost(void* place) {
    free(place);
    return OK;
}

static uint64_t pattern(uint64_t address, uint64_t seed) {
    uint64_t z = seed + address * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void* pointer_in(void* argument) {
    return (void*)*(uintptr_t*)argument;
}

static void carry_out(const char* name, size_t items, void** arguments) {
    uint64_t* const words = pointer_in(arguments[0]);
    if (strcmp(name, "fill") == 0) {
        for (size_t i = 0; i < items; ++i)
            words[i] = pattern(*(uint64_t*)arguments[1] + i, *(uint64_t*)arguments[2]);
    } else if (strcmp(name, "check") == 0) {
        uint32_t* const wrong = pointer_in(arguments[3]);
        for (size_t i = 0; i < items; ++i)
            *wrong += words[i] != pattern(*(uint64_t*)arguments[1] + i, *(uint64_t*)arguments[2]);
    } else if (strcmp(name, "wipe") == 0) {
        memset(words, 0, items * sizeof *words);
    } else if (strcmp(name, "copy") == 0) {
        memcpy(pointer_in(arguments[1]), words, items * 16);
    } else { /* multiply, multiply_half: once an item is enough here */
        for (size_t i = 0; i < items; ++i)
            ((float*)words)[i] = *(float*)arguments[1] * *(float*)arguments[2] + (float)*(uint32_t*)arguments[3];
    }
}

int cuLaunchKernel(void* function, unsigned int grid, unsigned int grid_y, unsigned int grid_z, unsigned int block,
                   unsigned int block_y, unsigned int block_z, unsigned int shared, void* stream, void** arguments,
                   void** extra) {
    if (grid_y != 1 || grid_z != 1 || block_y != 1 || block_z != 1 || block > 1024 || shared != 0 || stream != NULL ||
        extra != NULL)
        return INVALID_VALUE;
    if (launches++ < FAKE_FAILS_AFTER) carry_out(function, (size_t)grid * block, arguments);
    return OK;
}

int cuCtxSynchronize(void) {
#ifdef FAKE_HANG
    for (;;) pause();
#endif
    return launches <= FAKE_FAILS_AFTER ? OK : ILLEGAL_ADDRESS;
}

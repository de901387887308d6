/* A card that lies, as libOpenCL: this machine's own OpenCL (PoCL) carries everything out, but the device says that
   it is a GPU with FAKE_CLAIMED_MIB of memory, of which FAKE_BACKED_MIB are there. Its addresses go round: address a
   is the same memory as address a modulo FAKE_BACKED_MIB, as on a card whose firmware was changed to claim more.
   What is not defined here is the real library's, to which this one is linked.

   FAKE_ALLOCATABLE_MIB  more than this cannot be allocated, by default what it claims
   FAKE_NAME             the device's name
   FAKE_HANG, FAKE_CRASH the first wait for the device never ends, or takes the process with it */
#define _GNU_SOURCE
#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef FAKE_NAME
#define FAKE_NAME "Fallow Test Card"
#endif
#ifndef FAKE_BACKED_MIB
#define FAKE_BACKED_MIB FAKE_CLAIMED_MIB
#endif
#ifndef FAKE_ALLOCATABLE_MIB
#define FAKE_ALLOCATABLE_MIB FAKE_CLAIMED_MIB
#endif
#define MIB ((size_t)1 << 20)
#define BACKED ((size_t)FAKE_BACKED_MIB * MIB)
#define PAGE ((size_t)4096)

static size_t next_address;
static int live;
static int memory = -1;

static void* real(const char* name) {
    static void* library;
    if (library == NULL) library = dlopen("libOpenCL.so.1", RTLD_NOW | RTLD_LOCAL);
    void* const found = library == NULL ? NULL : dlsym(library, name);
    if (found == NULL) abort();
    return found;
}

static cl_int answer(const void* value, size_t bytes, size_t size, void* to, size_t* size_ret) {
    if (size_ret != NULL) *size_ret = bytes;
    if (to == NULL) return CL_SUCCESS;
    if (size < bytes) return CL_INVALID_VALUE;
    memcpy(to, value, bytes);
    return CL_SUCCESS;
}

cl_int clGetDeviceInfo(cl_device_id device, cl_device_info what, size_t size, void* to, size_t* size_ret) {
    const cl_device_type type = CL_DEVICE_TYPE_GPU;
    const cl_ulong claimed = FAKE_CLAIMED_MIB * MIB;
    const cl_ulong largest = 4 * MIB;
    const cl_uint place[4] = {0, 0x41, 0, 0};
    switch (what) {
        case CL_DEVICE_TYPE:
            return answer(&type, sizeof type, size, to, size_ret);
        case CL_DEVICE_GLOBAL_MEM_SIZE:
            return answer(&claimed, sizeof claimed, size, to, size_ret);
        case CL_DEVICE_MAX_MEM_ALLOC_SIZE:
            return answer(&largest, sizeof largest, size, to, size_ret);
        case CL_DEVICE_NAME:
            return answer(FAKE_NAME, sizeof FAKE_NAME, size, to, size_ret);
        case 0x410F: /* CL_DEVICE_PCI_BUS_INFO_KHR */
            return answer(place, sizeof place, size, to, size_ret);
        default:
            break;
    }
    cl_int (*const info)(cl_device_id, cl_device_info, size_t, void*, size_t*) = real("clGetDeviceInfo");
    return info(device, what, size, to, size_ret);
}

/* `size` bytes of address space that are the card's memory from `address` on, round and round. */
static void* map_round(size_t address, size_t size) {
    if (memory < 0) {
        memory = memfd_create("card", 0);
        if (memory < 0 || ftruncate(memory, BACKED) != 0) abort();
    }
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

cl_mem clCreateBuffer(cl_context context, cl_mem_flags flags, size_t size, void* host, cl_int* code) {
    cl_mem (*const create)(cl_context, cl_mem_flags, size_t, void*, cl_int*) = real("clCreateBuffer");
    if (flags & CL_MEM_ALLOC_HOST_PTR) return create(context, flags, size, host, code);
    const size_t whole = (size + PAGE - 1) / PAGE * PAGE;
    if (next_address + whole > FAKE_ALLOCATABLE_MIB * MIB) {
        *code = CL_MEM_OBJECT_ALLOCATION_FAILURE;
        return NULL;
    }
    void* const place = map_round(next_address, whole);
    next_address += whole;
    ++live;
    return create(context, flags | CL_MEM_USE_HOST_PTR, size, place, code);
}

cl_int clReleaseMemObject(cl_mem buffer) {
    cl_int (*const release)(cl_mem) = real("clReleaseMemObject");
    if (live > 0 && --live == 0) next_address = 0;
    return release(buffer);
}

cl_int clFinish(cl_command_queue queue) {
#ifdef FAKE_HANG
    for (;;) pause();
#endif
#ifdef FAKE_CRASH
    abort();
#endif
    cl_int (*const finish)(cl_command_queue) = real("clFinish");
    return finish(queue);
}

/* What a card has to do to be believed, and how its memory is wiped: device_measure.cpp and device_memory.cpp run
   these kernels. Built into the agent twice: as this text, for OpenCL, and as the PTX that clang makes of it with
   verify_cuda.h, for CUDA. */

/* A seeded 64-bit mix of a word's address over the whole device (SplitMix64, by Vigna after Steele, Lea and Flood;
   public domain). It is a bijection, so that no two addresses get the same word: memory that is there twice shows. */
ulong pattern(ulong address, ulong seed) {
    ulong z = seed + address * 0x9e3779b97f4a7c15UL;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9UL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebUL;
    return z ^ (z >> 31);
}

__kernel void fill(__global ulong* words, ulong base, ulong seed) {
    size_t i = get_global_id(0);
    words[i] = pattern(base + i, seed);
}

__kernel void check(__global const ulong* words, ulong base, ulong seed, __global uint* wrong) {
    size_t i = get_global_id(0);
    if (words[i] != pattern(base + i, seed)) atomic_inc(wrong);
}

__kernel void wipe(__global ulong* words) {
    words[get_global_id(0)] = 0;
}

__kernel void copy(__global const uint4* from, __global uint4* to) {
    size_t i = get_global_id(0);
    to[i] = from[i];
}

/* Four chains that do not wait for each other, as the units are deeper than one. */
__kernel void multiply(__global float* result, float a, float b, uint rounds) {
    size_t i = get_global_id(0);
    float8 x = (float8)(0, 1, 2, 3, 4, 5, 6, 7) * b + (float)i * 1e-9f;
    float8 y = x + a, z = y + a, w = z + a;
    for (uint r = 0; r < rounds; ++r) {
        x = mad(x, (float8)(b), (float8)(a));
        y = mad(y, (float8)(b), (float8)(a));
        z = mad(z, (float8)(b), (float8)(a));
        w = mad(w, (float8)(b), (float8)(a));
    }
    x += y + z + w;
    result[i] = x.s0 + x.s1 + x.s2 + x.s3 + x.s4 + x.s5 + x.s6 + x.s7;
}

#ifdef cl_khr_fp16
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
__kernel void multiply_half(__global float* result, float a, float b, uint rounds) {
    size_t i = get_global_id(0);
    half8 m = (half8)((half)b), n = (half8)((half)a);
    half8 x = (half8)(0, 1, 2, 3, 4, 5, 6, 7) * m + (half)((float)i * 1e-9f);
    half8 y = x + n, z = y + n, w = z + n;
    for (uint r = 0; r < rounds; ++r) {
        x = fma(x, m, n);
        y = fma(y, m, n);
        z = fma(z, m, n);
        w = fma(w, m, n);
    }
    x += y + z + w;
    result[i] = (float)(x.s0 + x.s1 + x.s2 + x.s3 + x.s4 + x.s5 + x.s6 + x.s7);
}
#endif

/* OpenCL C's built-in functions that verify.cl calls, for clang's NVPTX target, which has no library of them. Included
   before verify.cl when its PTX is made (embed_ptx.cmake); what is missing here stays an undefined symbol in the PTX,
   which tests/unit/agent/verify_ptx_test.cpp looks for. Sums of products become one fused instruction each, of two
   halves at once for `half8`. */
#pragma OPENCL EXTENSION cl_khr_fp16 : enable
#pragma OPENCL FP_CONTRACT ON

#define BUILT_IN extern inline __attribute__((gnu_inline, always_inline, overloadable))

BUILT_IN size_t get_global_id(uint dimension) {
    return (size_t)__nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x();
}

BUILT_IN uint atomic_inc(volatile __global uint* value) {
    return __nvvm_atom_add_gen_i((volatile __global int*)value, 1);
}

BUILT_IN float8 mad(float8 a, float8 b, float8 c) {
    return a * b + c;
}

BUILT_IN half8 fma(half8 a, half8 b, half8 c) {
    return a * b + c;
}

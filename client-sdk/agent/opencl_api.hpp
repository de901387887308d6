// The functions of libOpenCL that the agent uses, loaded at run time.
#pragma once

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include <optional>
#include <string>

#include "agent/compute_device.hpp"

namespace fallow::agent {

class OpenclError : public ComputeError {
  public:
    OpenclError(const std::string& what, cl_int code)
        : ComputeError(what + " failed with OpenCL error " + std::to_string(code)) {}
};

struct OpenclApi {
#define FALLOW_OPENCL(name) decltype(&::name) name = nullptr;
#include "agent/opencl_functions.def"
#undef FALLOW_OPENCL
};

/// Nothing when the library is not there or lacks a function. It is never closed: drivers do not survive
/// that.
[[nodiscard]] std::optional<OpenclApi> load_opencl(const std::string& library);

inline void require(cl_int code, const char* what) {
    if (code != CL_SUCCESS) throw OpenclError(what, code);
}

}  // namespace fallow::agent

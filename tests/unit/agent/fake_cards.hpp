// Builds the libraries of cards that misbehave; see the heads of fake_opencl.c, fake_nvml.c, fake_cuda.c
// and fake_rocm_smi.c.
#pragma once

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "support/paths.hpp"
#include "temporary_folder.hpp"

namespace fallow::agent::testing {

inline std::string build_fake(const TemporaryFolder& folder, const std::string& source,
                              const std::string& more) {
    const std::string library = (folder.path() / (source + ".so")).string();
    const std::string command = "cc -shared -fPIC " + more + " -o " + library + " " +
                                fallow::testing::source_dir() + "/tests/unit/agent/" + source +
                                ".c -Wl,--no-as-needed -l:libOpenCL.so.1";
    REQUIRE(std::system(command.c_str()) == 0);
    return library;
}

/// `more` like "-DFAKE_CLAIMED_MIB=64 -DFAKE_BACKED_MIB=16"
inline std::string fake_opencl(const TemporaryFolder& folder, const std::string& more) {
    return build_fake(folder, "fake_opencl", more);
}

inline std::string fake_nvml(const TemporaryFolder& folder, const std::string& more) {
    return build_fake(folder, "fake_nvml", more);
}

inline std::string fake_rocm_smi(const TemporaryFolder& folder, const std::string& more) {
    return build_fake(folder, "fake_rocm_smi", more);
}

/// The file that is the memory of the CUDA device.
inline std::string cuda_memory(const TemporaryFolder& folder) {
    return (folder.path() / "vram").string();
}

inline std::string fake_cuda(const TemporaryFolder& folder, const std::string& more) {
    return build_fake(folder, "fake_cuda", more + " -DFAKE_VRAM='\"" + cuda_memory(folder) + "\"'");
}

/// NVML's name of the CUDA device.
inline constexpr const char* cuda_uuid = "GPU-00112233-4455-6677-8899-aabbccddee00";

}  // namespace fallow::agent::testing

// A real Podman service under a private folder, with the busybox image of tests/support/make_image.sh in
// it.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

#include "support/paths.hpp"

namespace fallow::agent::testing {

inline constexpr const char* test_image = "localhost/fallow-busybox:test";

inline void run_script(const std::string& command) {
    if (std::system(command.c_str()) != 0) throw std::runtime_error("failed: " + command);
}

/// One for the whole test program: starting it and making the image takes a second.
class PodmanService {
  public:
    static PodmanService& instance() {
        static PodmanService service("runc");
        return service;
    }
    /// Podman's service has one runtime for all its containers.
    static PodmanService& under(const std::string& runtime) {
        if (runtime != "runsc") return instance();
        static PodmanService service("runsc");
        return service;
    }

    [[nodiscard]] std::string socket() const { return (folder_ / "podman.sock").string(); }
    [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

    PodmanService(const PodmanService&) = delete;
    PodmanService& operator=(const PodmanService&) = delete;

  private:
    explicit PodmanService(const std::string& runtime) {
        std::string name = "/tmp/fallow-podman-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
        folder_ = name;
        const std::string support = fallow::testing::source_dir() + "/tests/support/";
        run_script(support + "podman_service.sh start " + name + " " + runtime + " >/dev/null");
        run_script(support + "make_image.sh " + test_image + " " + name + " >/dev/null");
    }
    ~PodmanService() {
        const std::string stop =
            fallow::testing::source_dir() + "/tests/support/podman_service.sh stop " + folder_.string();
        if (std::system(stop.c_str()) != 0) return;
        std::error_code ignored;
        std::filesystem::remove_all(folder_, ignored);
    }

    std::filesystem::path folder_;
};

}  // namespace fallow::agent::testing

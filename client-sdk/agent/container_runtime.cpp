#include "agent/container_runtime.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <utility>

namespace fallow::agent {
namespace {

constexpr std::int64_t nofile_guest_max = 65'536;

std::int64_t hard_limit(__rlimit_resource resource) {
    rlimit limit{};
    if (::getrlimit(resource, &limit) != 0 || limit.rlim_max == RLIM_INFINITY) return nofile_guest_max;
    return static_cast<std::int64_t>(limit.rlim_max);
}

/// Podman takes the ids of its automatic user namespaces from the range of the user "containers".
bool has_subordinate_ids() {
    for (const char* path : {"/etc/subuid", "/etc/subgid"}) {
        std::ifstream file(path);
        std::string line;
        bool found = false;
        while (std::getline(file, line))
            found = found || line.starts_with("containers:");
        if (!found) return false;
    }
    return true;
}

std::string write_resolv_conf(const GuestFolders& folders, const std::string& text) {
    const std::filesystem::path path = std::filesystem::path(folders.notices) / "resolv.conf";
    std::ofstream file(path);
    file << text << std::flush;
    if (!file) throw RuntimeError("cannot write " + path.string());
    using std::filesystem::perms;
    std::filesystem::permissions(
        path, perms::owner_read | perms::owner_write | perms::group_read | perms::others_read);
    return path.string();
}

}  // namespace

ContainerRuntime::ContainerRuntime(std::string socket_path, EngineFlavour flavour, HostFacts host,
                                   std::shared_ptr<NetworkGate> gate)
    : engine_(std::move(socket_path)), flavour_(flavour), host_(std::move(host)), gate_(std::move(gate)) {}

std::vector<ContainerSeen> ContainerRuntime::list() {
    return engine_.list(host_.host_id);
}

ImageFacts ContainerRuntime::obtain_image(const std::string& reference, std::stop_token stop) {
    try {
        if (const auto image = engine_.find_image(reference)) return *image;
        engine_.pull(reference, stop);
        if (const auto image = engine_.find_image(reference)) return *image;
    } catch (const EngineError& error) {
        throw ImageError(error.what());
    }
    throw ImageError("the image was pulled and is not there");
}

std::string ContainerRuntime::create(const DesiredLease& lease, const ImageFacts& image,
                                     const GuestFolders& folders, std::stop_token) {
    GuestProfile profile = guest_profile(lease, image, host_, folders);
    if (!gate_) return engine_.create(profile, flavour_);
    profile.resolv_conf = write_resolv_conf(folders, gate_->resolv_conf());
    const std::string id = engine_.create(profile, flavour_);
    try {
        gate_->connect(engine_.prepare(id));
    } catch (const std::exception& error) {
        // Nothing may start that has a network without its rules, or only half of it.
        const std::string problem = error.what();
        engine_.remove(id);
        throw RuntimeError("the guest has no network that is closed as it should be: " + problem);
    }
    return id;
}

ContainersHere containers_here(const ContainerOptions& options) {
    const EngineFacts facts = Engine(options.socket_path).facts();
    const HostFacts host = {.host_id = options.host_id,
                            .runtime = options.runtime,
                            .user_namespace = options.user_namespace &&
                                              facts.flavour == EngineFlavour::podman &&
                                              has_subordinate_ids(),
                            .nofile_max = std::min(nofile_guest_max, hard_limit(RLIMIT_NOFILE)),
                            .nproc_max = hard_limit(RLIMIT_NPROC)};
    if (!host.user_namespace)
        spdlog::warn(
            "guests run as user 65534 without a user namespace: Podman with ids of the user "
            "'containers' in /etc/subuid and /etc/subgid is needed for one");
    // Docker makes a container's network namespace with the container's start, too late to close it.
    const auto gate = facts.flavour == EngineFlavour::podman ? options.gate : nullptr;
    if (options.gate && !gate) spdlog::warn("guests have no network: that takes Podman");
    return {.name = facts.name,
            .user_namespace = host.user_namespace,
            .has_network = gate != nullptr,
            .connect = [socket = options.socket_path, flavour = facts.flavour, host, gate] {
                return std::make_unique<ContainerRuntime>(socket, flavour, host, gate);
            }};
}

}  // namespace fallow::agent

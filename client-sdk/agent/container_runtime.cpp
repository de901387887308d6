#include "agent/container_runtime.hpp"

#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>
#include <utility>

#include "agent/clock.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t nofile_guest_max = 65'536;
constexpr int exec_look_ms = 20;

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

bool may_have_user_namespace(EngineFlavour flavour, const ContainerOptions& options) {
    if (options.runtime == "runsc") {
        spdlog::warn(
            "guests run as user 65534 without a user namespace: runsc would open their files from within "
            "it, where the agent's state folder cannot be passed");
        return false;
    }
    if (options.user_namespace && flavour == EngineFlavour::podman && has_subordinate_ids()) return true;
    spdlog::warn(
        "guests run as user 65534 without a user namespace: Podman with ids of the user "
        "'containers' in /etc/subuid and /etc/subgid is needed for one");
    return false;
}

/// Whether the gate is known to hold guests of this engine and runtime.
bool may_have_network(EngineFlavour flavour, const ContainerOptions& options) {
    if (!options.gate) return false;
    // Docker makes a container's network namespace with the container's start, too late to close it.
    if (flavour != EngineFlavour::podman) {
        spdlog::warn("guests have no network: that takes Podman");
        return false;
    }
    if (!has_own_network_stack(options.runtime)) return true;
    spdlog::warn("guests have no network: {} has a network stack of its own, with which none is given yet",
                 options.runtime);
    return false;
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
    : engine_(socket_path),
      exec_(socket_path),
      flavour_(flavour),
      host_(std::move(host)),
      gate_(std::move(gate)) {}

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
    if (gate_) profile.resolv_conf = write_resolv_conf(folders, gate_->resolv_conf());
    return engine_.create(profile, flavour_);
}

void ContainerRuntime::connect(const std::string& id, const TrafficTerms& terms) {
    if (!gate_) return;
    try {
        std::future<void> metered = std::async(std::launch::async, [&] { gate_->meter(terms); });
        prepared_ = {id, engine_.prepare(id)};
        metered.get();
        gate_->connect(prepared_.pid, terms);
    } catch (const std::exception& error) {
        const std::string problem = error.what();
        engine_.remove(id);
        throw RuntimeError("the guest has no network that is closed as it should be: " + problem);
    }
}

/// What the engine would say of a process that was there before is known: it saves asking.
std::optional<ContainerInspection> ContainerRuntime::start(const std::string& id) {
    engine_.start(id);
    if (prepared_.id != id) return engine_.inspect(id);
    return ContainerInspection{
        .state = ContainerState::running, .ever_started = true, .pid = prepared_.pid};
}

HostUser ContainerRuntime::user_of(const std::string& id, const ImageFacts& image) {
    if (!host_.user_namespace) return {guest_user_without_namespace, guest_user_without_namespace};
    const HostUser base = engine_.user_base(id);
    const std::string passwd =
        is_named_user(image.user) ? engine_.read_file(id, "/etc/passwd").value_or("") : "";
    const auto user = user_in_guest(image.user, passwd);
    if (!user)
        throw RuntimeError("the image's user \"" + image.user +
                           "\" is not in its /etc/passwd, so no file can be given to it alone");
    return {base.uid + user->uid, base.gid + user->gid};
}

std::optional<std::int64_t> ContainerRuntime::run_in(const std::string& id,
                                                     const std::vector<std::string>& command,
                                                     std::int64_t timeout_ms, std::stop_token stop) {
    ExecSpec spec;
    spec.command = command;
    const std::string process = exec_.create(id, spec);
    const std::int64_t until = boot_clock_ms() + timeout_ms;
    const auto may_wait = [&] { return !stop.stop_requested() && boot_clock_ms() < until; };
    // Not detached: Podman would never notice the end of such a process.
    sdk::Upgraded stream = exec_.start(process, false, stop);
    std::array<char, 4096> nowhere{};
    bool has_ended = false;
    while (!has_ended && may_wait()) {
        pollfd waited{stream.channel->descriptor(), POLLIN, 0};
        ::poll(&waited, 1, exec_look_ms);
        has_ended = stream.channel->read(nowhere.data(), nowhere.size()) == std::size_t{0};
    }
    // The engine may know of the end a moment after its streams.
    for (; has_ended && may_wait(); std::this_thread::sleep_for(std::chrono::milliseconds(exec_look_ms)))
        if (const ExecState state = exec_.inspect(process); !state.is_running) return state.exit_code;
    if (const auto container = engine_.inspect(id))
        signal_exec(exec_.inspect(process), container->pid, SIGKILL);
    return std::nullopt;
}

ContainersHere containers_here(const ContainerOptions& options) {
    const EngineFacts facts = Engine(options.socket_path).facts();
    const HostFacts host = {.host_id = options.host_id,
                            .runtime = options.runtime,
                            .user_namespace = may_have_user_namespace(facts.flavour, options),
                            .nofile_max = std::min(nofile_guest_max, hard_limit(RLIMIT_NOFILE)),
                            .nproc_max = hard_limit(RLIMIT_NPROC)};
    const auto gate = may_have_network(facts.flavour, options) ? options.gate : nullptr;
    return {.name = facts.name,
            .user_namespace = host.user_namespace,
            .has_network = gate != nullptr,
            .connect = [socket = options.socket_path, flavour = facts.flavour, host, gate] {
                return std::make_unique<ContainerRuntime>(socket, flavour, host, gate);
            }};
}

}  // namespace fallow::agent

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
#include "agent/image_reference.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t nofile_guest_max = 65'536;
constexpr int exec_look_ms = 20;
/// A further name of each image that was pulled with a login. It lies in the engine, beside the image, so
/// that every agent that uses this engine knows.
constexpr const char* private_mark = "localhost/fallow-private";

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

ContainerInspection running(std::int64_t pid) {
    return {.state = ContainerState::running, .ever_started = true, .pid = pid};
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
                                   std::shared_ptr<NetworkGate> gate,
                                   std::shared_ptr<PrivateImages> private_images,
                                   std::shared_ptr<ImageBook> images,
                                   std::shared_ptr<HeldStarts> held_starts)
    : engine_(socket_path),
      exec_(socket_path),
      flavour_(flavour),
      host_(std::move(host)),
      gate_(std::move(gate)),
      private_images_(std::move(private_images)),
      images_(std::move(images)),
      held_starts_(std::move(held_starts)) {}

std::vector<ContainerSeen> ContainerRuntime::list() {
    return engine_.list(host_.host_id);
}

bool ContainerRuntime::is_private(const ImageFacts& image) const {
    return std::ranges::any_of(image.names, [&](const std::string& name) {
        const std::string repository = repository_of(name);
        return repository == private_mark || (private_images_ && private_images_->holds(repository));
    });
}

/// A pull asks the registry for the manifest whatever is here, but for Docker's of a digest: its manifest
/// may be here although no image has that name.
void ContainerRuntime::pull(const std::string& reference, const std::string& registry_auth,
                            std::stop_token stop) {
    if (flavour_ == EngineFlavour::docker && names_a_digest(reference))
        engine_.ask_registry(reference, stop, registry_auth);
    engine_.pull(reference, stop, registry_auth, on_pull_);
}

std::optional<ImageFacts> ContainerRuntime::find_image(const std::string& reference) {
    const auto ask = [&] { return engine_.find_image(reference); };
    return images_ ? images_->find(reference, ask) : ask();
}

/// What that pull has brought. A short name may stand for something else here than at the registry.
ImageFacts ContainerRuntime::pulled_image(const std::string& reference) {
    const auto image = engine_.find_image(reference);
    if (!image) throw ImageError("the image was pulled and is not there");
    const auto is_of_it = [&](const std::string& name) {
        return repository_of(name) == repository_of(reference);
    };
    if (is_image_id(reference, image->id) ||
        (is_private(*image) && std::ranges::none_of(image->names, is_of_it)))
        throw ImageError("the name stands for another image here; begin it with its registry");
    return *image;
}

ImageFacts ContainerRuntime::obtain_image(const std::string& reference, std::stop_token stop) {
    try {
        const auto image = find_image(reference);
        if (is_image_id(reference, image ? image->id : std::string()))
            throw ImageError("an image is named as its registry knows it, and not by its id on a host");
        const bool is_known_private = private_images_ && private_images_->holds(repository_of(reference));
        if (image && !is_known_private && !is_private(*image)) return *image;
        pull(reference, {}, stop);
        return pulled_image(reference);
    } catch (const EngineError& error) {
        throw ImageError(error.what());
    }
}

ImageFacts ContainerRuntime::obtain_private_image(const std::string& reference,
                                                  const std::string& registry_auth, std::stop_token stop) {
    if (!private_images_) return Runtime::obtain_private_image(reference, registry_auth, stop);
    const std::string repository = repository_of(reference);
    try {
        private_images_->begin(repository);
    } catch (const std::exception& error) {
        throw ImageError(error.what());
    }
    try {
        pull(reference, registry_auth, stop);
    } catch (const EngineError& error) {
        private_images_->end(repository, false);
        throw ImageError(error.what());
    } catch (...) {
        private_images_->end(repository, true);
        throw;
    }
    private_images_->end(repository, true);
    try {
        ImageFacts image = pulled_image(reference);
        const std::string id = image.id.substr(image.id.find(':') + 1);  // of "sha256:…", or all of it
        engine_.name_image(id, private_mark, id);
        return image;
    } catch (const EngineError& error) {
        throw ImageError(error.what());
    }
}

std::string ContainerRuntime::create(const DesiredLease& lease, const ImageFacts& image,
                                     const GuestFolders& folders, std::stop_token) {
    GuestProfile profile = guest_profile(lease, image, host_, folders);
    if (gate_) profile.resolv_conf = write_resolv_conf(folders, gate_->resolv_conf());
    made_ = {engine_.create(profile, flavour_)};
    return made_.id;
}

/// Nothing may start that has a network without its rules, or only half of it.
void ContainerRuntime::refuse_network(const std::string& id, const std::string& problem) {
    engine_.remove(id);
    throw RuntimeError("the guest has no network that is closed as it should be: " + problem);
}

void ContainerRuntime::connect(const std::string& id, const TrafficTerms& terms) {
    if (!gate_) return;
    try {
        ProcessWatch process(host_.containers_folder, id, false);
        std::future<void> made = std::async(std::launch::async, [&] {
            engine_.prepare(id);
            spdlog::debug("{} has its namespaces", terms.lease_id);
        });
        gate_->make_ready(terms);  // also where it was: the host's rules may have been flushed since
        made_ = {id, process.await(made)};
        if (made_.pid != 0) gate_->connect(made_.pid, terms);
        made.get();
        if (made_.pid == 0) {
            made_.pid = engine_.process_of(id);
            gate_->connect(made_.pid, terms);
        }
        spdlog::debug("{} has its network", terms.lease_id);
    } catch (const std::exception& error) {
        refuse_network(id, error.what());
    }
}

bool ContainerRuntime::connects_at_start() const {
    return gate_ && held_starts_ && held_starts_->are_had();
}

/// What the engine would say of a process that was there before is known: it saves asking.
std::optional<ContainerInspection> ContainerRuntime::start(const std::string& id, const TrafficTerms& terms,
                                                           const std::function<void()>& connected) {
    if (made_.id != id) {
        const auto found = engine_.inspect(id);
        if (!found) return std::nullopt;
        made_ = {id, found->pid};
    }
    if (gate_ && made_.pid == 0) {
        ProcessWatch process(host_.containers_folder, id, connects_at_start());
        if (connects_at_start() && process.is_watching()) return start_held(process, terms, connected);
        connect(id, terms);
    }
    connected();
    engine_.start(id);
    if (made_.pid == 0) return engine_.inspect(id);
    return running(made_.pid);
}

/// In one request. A guest that could not be held may have begun without its network: it is as if it had
/// never been made, and the next are started otherwise.
std::optional<ContainerInspection> ContainerRuntime::start_held(ProcessWatch& process,
                                                                const TrafficTerms& terms,
                                                                const std::function<void()>& connected) {
    const std::string id = made_.id;
    std::string problem;
    std::int64_t pid = 0;
    bool was_held = false;
    std::future<void> started = std::async(std::launch::async, [&] { engine_.start(id); });
    // Also where it was: the host's rules may have been flushed since.
    std::future<void> ready = std::async(std::launch::async, [&] { gate_->make_ready(terms); });
    try {
        pid = process.await(started);
        was_held = pid != 0 && process.is_held();
        spdlog::debug("{} has its namespaces", terms.lease_id);
        ready.get();
        if (was_held) {
            gate_->connect(pid, terms);
            connected();
        }
        spdlog::debug("{} has its network", terms.lease_id);
    } catch (const std::exception& error) {
        problem = error.what();
        if (pid != 0) ::kill(static_cast<pid_t>(pid), SIGKILL);  // before anything runs in it
    }
    process.let_go();
    if (!problem.empty()) {
        started.wait();
        refuse_network(id, problem);
    }
    started.get();
    if (was_held) return running(pid);
    spdlog::warn(
        "the start of {} could not be held until it had its network: it is made anew, and guests are "
        "connected and started one after the other from now on",
        terms.lease_id);
    held_starts_->give_up();
    engine_.remove(id);
    return std::nullopt;
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

/// Docker runs each container under the runtime that is asked for; Podman's service runs all under its own,
/// and says nothing of a request that names another.
std::string runtime_of(const EngineFacts& facts, const std::string& wanted) {
    if (facts.flavour == EngineFlavour::docker) return wanted.empty() ? "runc" : wanted;
    if (wanted.empty() || wanted == facts.runtime) return facts.runtime;
    throw RuntimeError("Podman's service runs guests under " + facts.runtime + ", and not under " + wanted +
                       ": start it as `podman --runtime " + wanted +
                       " system service`, or with runtime = \"" + wanted + "\" in containers.conf");
}

ContainersHere containers_here(const ContainerOptions& wanted) {
    const EngineFacts facts = Engine(wanted.socket_path).facts();
    ContainerOptions options = wanted;
    options.runtime = runtime_of(facts, wanted.runtime);
    const HostFacts host = {.host_id = options.host_id,
                            .runtime = options.runtime,
                            .user_namespace = may_have_user_namespace(facts.flavour, options),
                            .nofile_max = std::min(nofile_guest_max, hard_limit(RLIMIT_NOFILE)),
                            .nproc_max = hard_limit(RLIMIT_NPROC),
                            .containers_folder = facts.containers_folder};
    const auto gate = may_have_network(facts.flavour, options) ? options.gate : nullptr;
    const auto& private_images = options.private_images;
    const bool may_hold = gate && !host.containers_folder.empty() && may_hold_processes();
    return {.name = facts.name,
            .runtime = options.runtime,
            .user_namespace = host.user_namespace,
            .has_network = gate != nullptr,
            .connect = [socket = options.socket_path, flavour = facts.flavour, host, gate, private_images,
                        images = std::make_shared<ImageBook>(facts.images_file),
                        held_starts = std::make_shared<HeldStarts>(may_hold)] {
                return std::make_unique<ContainerRuntime>(socket, flavour, host, gate, private_images,
                                                          images, held_starts);
            }};
}

}  // namespace fallow::agent

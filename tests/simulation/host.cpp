#include "simulation/host.hpp"

namespace fallow::sim {

using agent::ContainerState;

std::vector<agent::ContainerSeen> Host::list() const {
    std::vector<agent::ContainerSeen> seen;
    for (const std::string& id : here_) {
        const Container& container = machines_.containers.at(id);
        seen.push_back({id, container.lease, container.epoch, container.state});
    }
    return seen;
}

Container* Host::find(const std::string& id) {
    return here_.contains(id) ? &machines_.containers.at(id) : nullptr;
}

std::string Host::create(const std::string& lease, std::int64_t epoch, const std::string& job) {
    const std::string id = "container-" + std::to_string(machines_.containers.size() + 1);
    Container container;
    container.id = id;
    container.lease = lease;
    container.epoch = epoch;
    container.job = job;
    container.program = machines_.programs.at(job);
    machines_.containers.emplace(id, container);
    here_.insert(id);
    world_.note("{} creates {} for {}", name_, id, lease);
    return id;
}

void Host::run(Container& container) {
    container.state = ContainerState::running;
    container.since = world_.now();
    auto& unfrozen = machines_.unfrozen[container.job];
    unfrozen.insert(container.id);
    if (unfrozen.size() > 1)
        throw Violation("one_unfrozen_container_a_job",
                        container.job + " computes in " + *unfrozen.begin() + " and " + *unfrozen.rbegin());
    plan_exit(container);
}

void Host::rest(Container& container) {
    container.ran = container.ran_until(world_.now());
    ++container.turn;
    machines_.unfrozen[container.job].erase(container.id);
}

void Host::plan_exit(Container& container) {
    const Millis left = std::max(Millis(0), container.program.work - container.ran);
    world_.after(left, [this, id = container.id, turn = ++container.turn] {
        Container* found = find(id);
        if (found != nullptr && found->turn == turn)
            exit(*found, found->program.runs_out_of_memory ? 137 : found->program.exit_code);
    });
}

void Host::exit(Container& container, std::int32_t code) {
    if (container.state == ContainerState::running) rest(container);
    container.state = ContainerState::exited;
    container.finished_at = world_.now();
    container.exit_code = code;
    ++container.turn;
    world_.note("{} exits with {} after {} ms", container.id, code, container.ran.count);
}

void Host::start(const std::string& id) {
    Container& container = *find(id);
    world_.note("{} runs", id);
    container.started_at = world_.now();
    run(container);
}

void Host::terminate(const std::string& id) {
    Container* container = find(id);
    if (container == nullptr || container->state != ContainerState::running) return;
    if (container->program.ignores_sigterm) return;
    container->program.work = container->ran_until(world_.now()) + world_.random.span(50, 3000);
    container->program.exit_code = world_.random.chance(300) ? 0 : 143;
    container->ran = container->ran_until(world_.now());
    container->since = world_.now();
    plan_exit(*container);
}

void Host::kill(const std::string& id) {
    Container* container = find(id);
    if (container == nullptr) return;
    const bool is_live =
        container->state == ContainerState::running || container->state == ContainerState::paused;
    if (is_live) exit(*container, 137);
}

bool Host::freeze(const std::string& id) {
    Container* container = find(id);
    if (container == nullptr || container->state != ContainerState::running) return false;
    rest(*container);
    container->state = ContainerState::paused;
    ++container->freezes;
    world_.note("{} is frozen", id);
    return true;
}

void Host::thaw(const std::string& id) {
    Container* container = find(id);
    if (container == nullptr || container->state != ContainerState::paused) return;
    world_.note("{} is thawed", id);
    run(*container);
}

void Host::remove(const std::string& id) {
    kill(id);
    if (here_.erase(id) > 0) world_.note("{} is removed", id);
}

void Host::reboot() {
    world_.note("{} reboots", name_);
    for (const std::string& id : here_) {
        Container& container = *find(id);
        container.saw_reboot = true;
        kill(id);
    }
    booted_at_ = world_.now() - Millis(10);
    ++boots_;
    engine_is_stuck = false;
}

}  // namespace fallow::sim

// An enrolled host with one lease, whose server is out of reach.
#pragma once

#include <condition_variable>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "agent/clock.hpp"
#include "agent/container_runtime.hpp"
#include "agent/lease_task.hpp"
#include "guard_fixture.hpp"
#include "guest_fixture.hpp"

namespace fallow::agent::testing {

/// An enrolled agent without its loops: the test plays the planner.
class Host {
  public:
    /// Without a gate, its guests have no network.
    explicit Host(const std::shared_ptr<NetworkGate>& gate = nullptr)
        : state_(state_folder), key_(PrivateKey::generate_ed25519()) {
        // A closed port: every call to the server fails at once.
        state_.save_identity({"https://127.0.0.1:1", "host_1", "", "test", 5000});
        guard.heartbeat(boot_clock_ms());
        context_ = std::make_unique<TaskContext>(
            TaskContext{.state = state_,
                        .signing_key = key_,
                        .guard = guard,
                        .connect = [this, gate] { return connect_containers(gate); },
                        .storage = storage_kind_here(),
                        .boot_id = current_boot_id(),
                        .server_unix_ms = [] { return std::int64_t{0}; },
                        .wake =
                            [this] {
                                const std::lock_guard lock(mutex_);
                                changed_.notify_all();
                            },
                        .before_guest =
                            [this](const std::vector<LeaseCard>& cards) {
                                if (before_guest) before_guest(cards);
                            }});
    }

    ~Host() { task.reset(); }  // it uses what is declared after it
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    /// As if its guests had sent so much already.
    void adopt(const DesiredLease& lease, std::int64_t egress_bytes = 0) {
        LeaseRecord record;
        record.egress_bytes = egress_bytes;
        record.desired = lease;
        record.boot_id = current_boot_id();
        record.accepted = true;
        task = std::make_unique<LeaseTask>(*context_, record);
    }

    /// As kill -9 does it: nothing is told to anybody; what is on disk is what is left.
    void restart() {
        task.reset();
        std::vector<std::string> unreadable;
        auto records = state_.load_records(unreadable);
        REQUIRE(unreadable.empty());
        REQUIRE(records.size() == 1);
        task = std::make_unique<LeaseTask>(*context_, records[0]);
    }

    LeaseRecord carry_out(ActionKind kind, StopCause cause = StopCause::none, bool is_fresh = false) {
        task->carry_out({kind, task->seen().record.desired.lease_id, {}, cause, 0, is_fresh});
        // Every lane wakes the planner when it has become idle.
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, std::chrono::milliseconds(patience_ms),
                                  [&] { return !task->seen().engine_lane_busy; }));
        return task->seen().record;
    }

    /// The record, once the guard has frozen the container and the task has heard of it.
    LeaseRecord frozen() {
        wait_for_book(state_folder, " frozen ");
        task->heed_guard(guard.list());
        return task->seen().record;
    }

    Engine& engine() { return engine_; }
    const StateFolder& state() { return state_; }

    const std::string state_folder = make_folder();
    GuardLink guard{{state_folder, PodmanService::instance().socket(), {}, 600'000}};
    std::unique_ptr<LeaseTask> task;
    const std::shared_ptr<HeldStarts> held_starts = std::make_shared<HeldStarts>(true);
    std::function<void(const std::vector<LeaseCard>&)> before_guest;  ///< of the engine's lane

  private:
    std::unique_ptr<Runtime> connect_containers(const std::shared_ptr<NetworkGate>& gate) const {
        HostFacts facts = host_facts();
        facts.containers_folder = containers_folder();
        return std::make_unique<ContainerRuntime>(PodmanService::instance().socket(), EngineFlavour::podman,
                                                  facts, gate, nullptr, nullptr, held_starts);
    }

    static std::string make_folder() {
        static int count = 0;
        const auto folder = PodmanService::instance().folder() / ("state-" + std::to_string(++count));
        std::filesystem::create_directories(folder);
        std::ofstream(folder / "ca.pem") << "";
        return folder.string();
    }

    StateFolder state_;
    PrivateKey key_;
    Engine engine_{PodmanService::instance().socket()};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::unique_ptr<TaskContext> context_;
};

}  // namespace fallow::agent::testing

// A lease on this host against a real container engine, with the server out of reach: what the agent does
// on its own, and what it finds again after it was killed.
#include "agent/lease_task.hpp"

#include <atomic>
#include <fstream>
#include <memory>

#include "agent/clock.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

/// An enrolled agent without its loops: the test plays the planner.
class Host {
  public:
    Host() : state_(make_folder()), key_(PrivateKey::generate_ed25519()) {
        // A closed port: every call to the server fails at once.
        state_.save_identity({"https://127.0.0.1:1", "host_1", "", "test", 5000});
        guard_ = std::make_unique<Guard>(
            GuardOptions{1'000'000'000, [this] { return boot_clock_ms() + clock_ahead.load(); },
                         [this](const std::string& id) { return freezer_.pause(id); }},
            boot_clock_ms());
        context_ =
            std::make_unique<TaskContext>(TaskContext{.state = state_,
                                                      .signing_key = key_,
                                                      .guard = *guard_,
                                                      .engine_socket = PodmanService::instance().socket(),
                                                      .flavour = EngineFlavour::podman,
                                                      .host = host_facts(),
                                                      .storage = storage_kind_here(),
                                                      .boot_id = current_boot_id(),
                                                      .server_unix_ms = [] { return std::int64_t{0}; },
                                                      .wake = [] {}});
    }

    ~Host() { task.reset(); }  // it uses what is declared after it
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    void adopt(const DesiredLease& lease) {
        LeaseRecord record;
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

    LeaseRecord carry_out(ActionKind kind, StopCause cause = StopCause::none) {
        task->carry_out({kind, task->seen().record.desired.lease_id, {}, cause});
        return wait_until([](const LeaseSeen& seen) { return !seen.engine_lane_busy; });
    }

    LeaseRecord wait_until(const std::function<bool(const LeaseSeen&)>& condition) {
        LeaseSeen seen;
        eventually("the lease's state", [&] {
            seen = task->seen();
            return condition(seen);
        });
        return seen.record;
    }

    void wait_for_exit(const std::string& container_id) {
        eventually("the container's end",
                   [&] { return freezer_.inspect(container_id)->state == ContainerState::exited; });
    }

    Engine& engine() { return freezer_; }
    const StateFolder& state() { return state_; }

    std::atomic<std::int64_t> clock_ahead = 0;  ///< moves the guard's clock alone
    std::unique_ptr<LeaseTask> task;

  private:
    static std::string make_folder() {
        static int count = 0;
        const auto folder = PodmanService::instance().folder() / ("state-" + std::to_string(++count));
        std::filesystem::create_directories(folder);
        std::ofstream(folder / "ca.pem") << "";
        return folder.string();
    }

    StateFolder state_;
    PrivateKey key_;
    Engine freezer_{PodmanService::instance().socket()};
    std::unique_ptr<Guard> guard_;
    std::unique_ptr<TaskContext> context_;
};

}  // namespace

TEST_CASE("a lease runs, ends and leaves nothing behind") {
    Host host;
    host.adopt(a_lease("echo result >/work/out/result; exit 4"));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    REQUIRE_FALSE(id.empty());
    const LeaseRecord started = host.carry_out(ActionKind::start);
    CHECK(started.started);
    CHECK(started.meter.counting);
    host.wait_for_exit(id);
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    REQUIRE(ended.exit);
    CHECK(*ended.exit == ContainerExit{4, false, false});
    CHECK_FALSE(ended.meter.counting);
    const auto folder = host.state().lease_folder(ended.desired.lease_id);
    CHECK(read_file(folder / "out" / "result") == "result\n");
    CHECK(host.carry_out(ActionKind::remove).removed);
    CHECK_FALSE(host.engine().inspect(id));
    CHECK_FALSE(std::filesystem::exists(folder / "out"));
}

TEST_CASE("an agent killed while a container runs takes it over and goes on counting") {
    Host host;
    host.adopt(a_lease("trap 'exit 0' TERM; while :; do sleep 0.05; done"));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    const LeaseRecord before = host.carry_out(ActionKind::start);
    host.restart();
    const LeaseRecord after = host.task->seen().record;
    CHECK(after.container_id == id);
    CHECK(after.started_boot_ms == before.started_boot_ms);
    CHECK(after.meter.counting);
    host.carry_out(ActionKind::terminate, StopCause::wanted);
    host.wait_for_exit(id);
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    CHECK(ended.exit->exit_code == 0);
    CHECK(ended.stop_cause == StopCause::wanted);
    CHECK(ended.meter.accumulated_ms > 0);
    CHECK(ended.meter.accumulated_ms <= boot_clock_ms() - before.started_boot_ms);
    host.carry_out(ActionKind::remove);
}

TEST_CASE(
    "an agent killed between the start and its note finds the container running, or ended, and starts no "
    "second") {
    const auto script = GENERATE("sleep 60", "exit 6");
    Host host;
    host.adopt(a_lease(script));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.engine().start(id);
    const bool ends = std::string(script) == "exit 6";
    if (ends) host.wait_for_exit(id);
    host.restart();
    CHECK_FALSE(host.task->seen().record.started);
    const LeaseRecord started = host.carry_out(ActionKind::start);
    CHECK(started.started);
    CHECK(started.container_id == id);
    if (ends) CHECK(host.carry_out(ActionKind::record_exit).exit->exit_code == 6);
    host.carry_out(ActionKind::discard);
    CHECK(host.task->is_discarded());
    CHECK_FALSE(host.engine().inspect(id));
    CHECK_FALSE(std::filesystem::exists(host.state().lease_folder(started.desired.lease_id)));
}

TEST_CASE("the guard freezes a running lease, its time stops, and it goes on when it is thawed") {
    Host host;
    host.adopt(a_lease("while :; do sleep 0.05; done"));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.carry_out(ActionKind::start);
    host.clock_ahead = 2'000'000'000;
    const LeaseRecord frozen =
        host.wait_until([](const LeaseSeen& seen) { return seen.record.paused_boot_ms != 0; });
    CHECK_FALSE(frozen.meter.counting);
    CHECK(host.engine().inspect(id)->state == ContainerState::paused);
    host.clock_ahead = 0;
    const LeaseRecord thawed = host.carry_out(ActionKind::resume);
    CHECK(thawed.paused_boot_ms == 0);
    CHECK(thawed.meter.counting);
    CHECK(host.engine().inspect(id)->state == ContainerState::running);
    host.carry_out(ActionKind::kill, StopCause::paid_until);
    host.wait_for_exit(id);
    CHECK(host.carry_out(ActionKind::record_exit).exit->exit_code == 137);
    host.carry_out(ActionKind::remove);
}

TEST_CASE("an image that cannot be had and a command that cannot be run are told apart") {
    Host host;
    DesiredLease no_image = a_lease("true");
    no_image.spec->image = "127.0.0.1:1/nothing:1";
    host.adopt(no_image);
    const LeaseRecord first = host.carry_out(ActionKind::prepare);
    REQUIRE(first.failure);
    CHECK(first.failure->reason == "image_pull_failed");
    host.carry_out(ActionKind::remove);

    DesiredLease no_command = a_lease("true");
    no_command.spec->command = {"/no/such/program"};
    host.adopt(no_command);
    host.carry_out(ActionKind::prepare);
    const LeaseRecord second = host.carry_out(ActionKind::start);
    REQUIRE(second.failure);
    CHECK(second.failure->reason == "start_failed");
    host.carry_out(ActionKind::remove);
}

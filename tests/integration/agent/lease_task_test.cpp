// A lease on this host against a real container engine, with the server out of reach: what the agent does
// on its own, and what it finds again after it was killed.
#include <filesystem>
#include <system_error>

#include "agent/clock.hpp"
#include "host_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

/// How many processes of this host are in it.
std::size_t processes_in(const std::filesystem::path& pid_namespace) {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        std::error_code gone;  // meanwhile, or it is no process
        if (std::filesystem::read_symlink(entry.path() / "ns/pid", gone) == pid_namespace) ++count;
    }
    return count;
}

}  // namespace

TEST_CASE("a lease runs, ends and leaves nothing behind") {
    Host host;
    host.adopt(a_lease("echo result >/work/out/result; exit 4"));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    REQUIRE_FALSE(id.empty());
    const LeaseRecord started = host.carry_out(ActionKind::start);
    CHECK(started.started);
    CHECK(started.meter.counting);
    wait_for_end(id);
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
    wait_for_end(id);
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    CHECK(ended.exit->exit_code == 0);
    CHECK(ended.stop_cause == StopCause::wanted);
    CHECK(ended.meter.accumulated_ms > 0);
    CHECK(ended.meter.accumulated_ms <= boot_clock_ms() - before.started_boot_ms);
    host.carry_out(ActionKind::remove);
}

TEST_CASE("a container is started again where it was, also by an agent that was killed meanwhile") {
    Host host;
    DesiredLease lease = a_lease(
        "echo run >>/work/out/runs; touch /tmp/seen 2>/dev/null; ls /tmp | wc -l >>/work/out/seen;"
        " test $(wc -l </work/out/runs) = 3 || exit 75; exit 4");
    lease.spec->restart = RestartSpec{{75}, 2, 1000};
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.carry_out(ActionKind::start);
    for (const std::int64_t restarts : {0, 1}) {
        wait_for_end(id);
        const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
        CHECK_FALSE(ended.exit);
        REQUIRE(ended.restart);
        CHECK(ended.restart->after.exit_code == 75);
        CHECK(ended.restarts == restarts);
        CHECK_FALSE(ended.meter.counting);
        host.restart();
        CHECK(host.carry_out(ActionKind::ready_restart).restart->is_ready);
        host.restart();
        const LeaseRecord again = host.carry_out(ActionKind::start);
        CHECK(again.container_id == id);
        CHECK_FALSE(again.restart);
        CHECK(again.restarts == restarts + 1);
        CHECK(again.meter.accumulated_ms == ended.meter.accumulated_ms);
        CHECK(again.meter.counting);
        CHECK_FALSE(again.logs_drained);
    }
    wait_for_end(id);
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    REQUIRE(ended.exit);
    CHECK(*ended.exit == ContainerExit{4, false, false});
    const auto folder = host.state().lease_folder(ended.desired.lease_id);
    CHECK(read_file(folder / "out" / "runs") == "run\nrun\nrun\n");
    CHECK(read_file(folder / "out" / "seen") == "1\n1\n1\n");
    host.carry_out(ActionKind::remove);
}

TEST_CASE(
    "a restart that an agent made and could not note before it was killed is found, and not made twice") {
    const auto script = GENERATE("sleep 60", "exit 6");
    Host host;
    DesiredLease lease =
        a_lease("test -e /work/out/once && " + std::string(script) + "; touch /work/out/once; exit 75");
    lease.spec->restart = RestartSpec{{75}, 2, 1000};
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.carry_out(ActionKind::start);
    wait_for_end(id);
    REQUIRE(host.carry_out(ActionKind::record_exit).restart);
    host.engine().start(id);
    const bool ends = std::string(script) == "exit 6";
    if (ends) wait_for_end(id);
    host.restart();
    const LeaseRecord found = host.carry_out(ActionKind::start);
    CHECK(found.restarts == 1);
    CHECK_FALSE(found.restart);
    if (ends) {
        CHECK(host.carry_out(ActionKind::record_exit).exit->exit_code == 6);
    } else {
        CHECK(host.engine().inspect(id)->state == ContainerState::running);
    }
    host.carry_out(ActionKind::remove);
}

TEST_CASE("the guard freezes a container that was started again as it would have before") {
    Host host;
    DesiredLease lease = a_lease(
        "test -e /work/out/once || { touch /work/out/once; exit 75; }; while :; do sleep 0.05; done");
    lease.spec->restart = RestartSpec{{75, 137}, 2, 1000};
    lease.fence_ms = 4000;
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.guard.heartbeat(boot_clock_ms());
    host.carry_out(ActionKind::start);
    wait_for_end(id);
    REQUIRE(host.carry_out(ActionKind::record_exit).restart);
    host.carry_out(ActionKind::ready_restart);
    host.guard.heartbeat(boot_clock_ms());
    const LeaseRecord started = host.carry_out(ActionKind::start);
    const LeaseRecord frozen = host.frozen();
    REQUIRE(frozen.paused_boot_ms != 0);
    CHECK(frozen.meter.accumulated_ms - started.meter.accumulated_ms ==
          frozen.paused_boot_ms - started.started_boot_ms);
    host.carry_out(ActionKind::kill, StopCause::fenced_too_long);
    wait_for_end(id);
    const LeaseRecord ended = host.carry_out(ActionKind::record_exit);
    CHECK_FALSE(ended.restart);
    CHECK(ended.exit->exit_code == 137);
    host.carry_out(ActionKind::remove);
}

TEST_CASE("what is stopped while it waits for its restart ends with its last exit code") {
    Host host;
    DesiredLease lease = a_lease("exit 75");
    lease.spec->restart = RestartSpec{{}, 2, 1000};
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.carry_out(ActionKind::start);
    wait_for_end(id);
    REQUIRE(host.carry_out(ActionKind::record_exit).restart);
    const LeaseRecord ended = host.carry_out(ActionKind::give_up_restart, StopCause::wanted);
    REQUIRE(ended.exit);
    CHECK(ended.exit->exit_code == 75);
    CHECK(ended.stop_cause == StopCause::wanted);
    CHECK_FALSE(ended.restart);
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
    if (ends) wait_for_end(id);
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

TEST_CASE("a container counts as new until it is started, and with the agent alone that has made it") {
    const bool is_another = GENERATE(false, true);
    Host host;
    host.adopt(a_lease("exit 5"));
    CHECK_FALSE(host.task->seen().guest_is_fresh);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    CHECK(host.task->seen().guest_is_fresh);
    if (is_another) {
        host.restart();
        CHECK_FALSE(host.task->seen().guest_is_fresh);
    }
    CHECK(host.carry_out(ActionKind::start, StopCause::none, !is_another).started);
    CHECK_FALSE(host.task->seen().guest_is_fresh);
    wait_for_end(id);
    CHECK(host.carry_out(ActionKind::record_exit).exit->exit_code == 5);
    CHECK(host.carry_out(ActionKind::remove).removed);
}

TEST_CASE("when a container has ended, no process of it is left that could have memory of a card") {
    Host host;
    host.adopt(a_lease("sleep 600 & setsid sleep 600 & echo up; wait"));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    REQUIRE(host.carry_out(ActionKind::start).started);
    const Watchdog watchdog;
    std::string output;
    host.engine().logs(
        id, true,
        [&](LogStream, std::string_view data) {
            output += data;
            return output.find("up") == std::string::npos;
        },
        watchdog.token());
    const std::filesystem::path first = "/proc/" + std::to_string(host.engine().inspect(id)->pid);
    const std::filesystem::path pid_namespace = std::filesystem::read_symlink(first / "ns/pid");
    CHECK(processes_in(pid_namespace) == 3);
    host.carry_out(ActionKind::kill, StopCause::paid_until);
    wait_for_end(id);
    CHECK(processes_in(pid_namespace) == 0);
    CHECK(host.carry_out(ActionKind::record_exit).exit);
    CHECK(host.carry_out(ActionKind::remove).removed);
}

TEST_CASE("whose memory a guest will have is known before it starts, and nothing starts where it is not") {
    Host host;
    DesiredLease lease = a_lease("sleep 60");
    lease.cards = {{"card_1", "CPU-1", "opencl", "cpu", 0}};
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.before_guest = [](const std::vector<LeaseCard>&) { throw std::runtime_error("the disk is full"); };
    CHECK_FALSE(host.carry_out(ActionKind::start).started);
    CHECK_FALSE(host.engine().inspect(id)->ever_started);
    std::vector<LeaseCard> noted;
    bool was_early = false;
    host.before_guest = [&](const std::vector<LeaseCard>& cards) {
        noted = cards;
        was_early = !host.engine().inspect(id)->ever_started;
    };
    CHECK(host.carry_out(ActionKind::start).started);
    CHECK(noted == lease.cards);
    CHECK(was_early);
    host.carry_out(ActionKind::discard);
}

TEST_CASE("a new container that is gone when it is to be started is a failed start") {
    Host host;
    host.adopt(a_lease("sleep 60"));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.engine().remove(id);
    const LeaseRecord failed = host.carry_out(ActionKind::start, StopCause::none, true);
    CHECK_FALSE(failed.started);
    REQUIRE(failed.failure);
    CHECK(failed.failure->reason == "start_failed");
    CHECK(host.carry_out(ActionKind::remove).removed);
    CHECK(host.guard.list().empty());
}

TEST_CASE("the guard freezes a running lease, its time stops, and it goes on when it is thawed") {
    Host host;
    DesiredLease lease = a_lease("while :; do sleep 0.05; done");
    lease.fence_ms = 1500;
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.guard.heartbeat(boot_clock_ms());
    const LeaseRecord started = host.carry_out(ActionKind::start);
    const LeaseRecord frozen = host.frozen();
    CHECK_FALSE(frozen.meter.counting);
    REQUIRE(frozen.paused_boot_ms != 0);
    CHECK(frozen.meter.accumulated_ms == frozen.paused_boot_ms - started.started_boot_ms);

    const std::int64_t back = boot_clock_ms();
    host.guard.heartbeat(back);
    const LeaseRecord thawed = host.carry_out(ActionKind::resume);
    CHECK(thawed.paused_boot_ms == 0);
    CHECK(thawed.meter.counting);
    CHECK(thawed.meter.accumulated_ms == frozen.meter.accumulated_ms);
    CHECK(thawed.meter.counted_at_boot_ms >= back);
    host.carry_out(ActionKind::kill, StopCause::paid_until);
    wait_for_end(id);
    CHECK(host.carry_out(ActionKind::record_exit).exit->exit_code == 137);
    host.carry_out(ActionKind::remove);
    CHECK(host.guard.list().empty());
}

TEST_CASE("an agent that was killed while its container was frozen, or thawed, hears of it afterwards") {
    Host host;
    DesiredLease lease = a_lease("while :; do sleep 0.05; done");
    lease.fence_ms = 1500;
    host.adopt(lease);
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    host.guard.heartbeat(boot_clock_ms());
    host.carry_out(ActionKind::start);
    wait_for_book(host.state_folder, " frozen ");
    host.restart();
    CHECK(host.task->seen().record.paused_boot_ms == 0);
    host.task->heed_guard(host.guard.list());
    const LeaseRecord frozen = host.task->seen().record;
    CHECK(frozen.paused_boot_ms != 0);
    CHECK_FALSE(frozen.meter.counting);

    host.guard.heartbeat(boot_clock_ms());
    const std::int64_t thawed_at = host.guard.thaw(id);
    host.restart();
    CHECK(host.task->seen().record.paused_boot_ms == frozen.paused_boot_ms);
    host.task->heed_guard(host.guard.list());
    const LeaseRecord thawed = host.task->seen().record;
    CHECK(thawed.paused_boot_ms == 0);
    CHECK(thawed.meter.counting);
    CHECK(thawed.meter.counted_at_boot_ms == thawed_at);
    host.carry_out(ActionKind::discard);
    CHECK_FALSE(host.engine().inspect(id));
    CHECK(host.guard.list().empty());
}

TEST_CASE("a start that comes long after its plan starts nothing, and the next one does") {
    Host host;
    host.adopt(a_lease("sleep 60"));
    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    {
        // The engine answers the lane's question, which comes before the start, when the plan is too old.
        const StoppedEngine engine(2500);
        CHECK_FALSE(host.carry_out(ActionKind::start).started);
    }
    CHECK_FALSE(host.engine().inspect(id)->ever_started);
    CHECK(host.carry_out(ActionKind::start).started);
    host.carry_out(ActionKind::discard);
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

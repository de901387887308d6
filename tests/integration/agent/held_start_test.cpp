// Guests that get their network within their start, by real Podman: nothing of theirs runs without it.
#include <fstream>

#include "agent/container_runtime.hpp"
#include "egress_fixture.hpp"
#include "host_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

/// Succeeds only where there is a network at its first look, and leaves a sign that it has run.
const char* const asks_at_once = "touch /work/out/ran; nc -w 5 8.8.4.4 7000 </dev/null";

/// A guest that is made, and the runtime that has made it.
class HeldGuest {
  public:
    explicit HeldGuest(const std::shared_ptr<NetworkGate>& gate, const DesiredLease& lease,
                       const std::string& folder = containers_folder())
        : lease_(lease),
          storage_(PodmanService::instance().folder() / "leases" / lease.lease_id),
          runtime(PodmanService::instance().socket(), EngineFlavour::podman, facts(folder), gate, nullptr,
                  nullptr, held_starts) {
        storage_.make(storage_kind_here(), lease.spec->disk_bytes);
        const GuestFolders folders{storage_.inputs().string(), storage_.outputs().string(),
                                   storage_.notices().string()};
        id = runtime.create(lease, runtime.obtain_image(test_image, {}), folders, {});
    }
    ~HeldGuest() {
        try {
            runtime.remove(id);
            storage_.wipe();
        } catch (const std::exception& error) {
            WARN("a guest was not removed: " << error.what());
        }
    }
    HeldGuest(const HeldGuest&) = delete;
    HeldGuest& operator=(const HeldGuest&) = delete;

    std::optional<ContainerInspection> start(const std::function<void()>& connected = [] {}) {
        return runtime.start(id, {lease_.lease_id}, connected);
    }
    [[nodiscard]] bool has_run() const { return std::filesystem::exists(storage_.outputs() / "ran"); }

  private:
    static HostFacts facts(const std::string& folder) {
        HostFacts facts = host_facts();
        facts.containers_folder = folder;
        return facts;
    }
    DesiredLease lease_;
    WorkingStorage storage_;

  public:
    const std::shared_ptr<HeldStarts> held_starts = std::make_shared<HeldStarts>(true);
    ContainerRuntime runtime;
    std::string id;
};

}  // namespace

TEST_CASE("a guest has no process before its start, and its network before anything of it runs") {
    const EgressWorld world;
    const Gate gate;
    HeldGuest guest(gate.gate, a_lease(asks_at_once));
    REQUIRE(guest.runtime.connects_at_start());
    CHECK(guest.runtime.inspect(guest.id)->pid == 0);
    bool had_run = true;
    const auto started = guest.start([&] { had_run = guest.has_run(); });
    REQUIRE(started);
    CHECK(started->pid != 0);
    CHECK_FALSE(had_run);
    wait_for_end(guest.id);
    CHECK(guest.has_run());
    CHECK(guest.runtime.inspect(guest.id)->exit_code == 0);
    CHECK(guest.runtime.connects_at_start());
}

TEST_CASE("a guest whose connection cannot be finished never runs, and is removed") {
    const EgressWorld world;
    const Gate gate;
    HeldGuest guest(gate.gate, a_lease(asks_at_once));
    CHECK_THROWS_WITH(guest.start([] { throw std::runtime_error("the disk is full"); }),
                      Catch::Contains("closed as it should be") && Catch::Contains("the disk is full"));
    CHECK_FALSE(guest.has_run());
    CHECK_FALSE(guest.runtime.inspect(guest.id));
    CHECK(guest.runtime.connects_at_start());
}

TEST_CASE("a start that fails by itself is told as its engine tells it") {
    const EgressWorld world;
    const Gate gate;
    DesiredLease lease = a_lease("");
    lease.spec->command = {"/no/such/program"};
    HeldGuest guest(gate.gate, lease);
    CHECK_THROWS_WITH(guest.start(), Catch::Contains("/no/such/program"));
    CHECK(guest.runtime.inspect(guest.id)->state != ContainerState::running);
    CHECK(guest.runtime.connects_at_start());
}

TEST_CASE("a guest that was not held is as if it had never been made, and the next are started otherwise") {
    const EgressWorld world;
    const Gate gate;
    const auto nothing_to_see = Gate::fresh_folder();
    HeldGuest guest(gate.gate, a_lease("sleep 60"), nothing_to_see.string());
    std::filesystem::create_directories(nothing_to_see / guest.id / "userdata");
    CHECK_FALSE(guest.start());
    CHECK_FALSE(guest.runtime.inspect(guest.id));
    CHECK_FALSE(guest.runtime.connects_at_start());
    std::filesystem::remove_all(nothing_to_see);

    Host host(gate.gate);
    host.held_starts->give_up();
    host.adopt(a_lease(asks_at_once));
    const LeaseRecord prepared = host.carry_out(ActionKind::prepare);
    CHECK(prepared.connected);
    CHECK(host.engine().inspect(prepared.container_id)->pid != 0);
    host.carry_out(ActionKind::start);
    wait_for_end(prepared.container_id);
    CHECK(host.carry_out(ActionKind::record_exit).exit->exit_code == 0);
    host.carry_out(ActionKind::remove);
}

TEST_CASE("a guest that began without its network, since its agent was killed, is prepared anew") {
    const EgressWorld world;
    const Gate gate;
    const bool has_ended = GENERATE(false, true);
    Host host(gate.gate);
    host.adopt(a_lease("test ! -e /work/out/ran && " + std::string(asks_at_once) +
                       (has_ended ? "" : " || exec sleep 60")));
    const LeaseRecord prepared = host.carry_out(ActionKind::prepare);
    CHECK_FALSE(prepared.connected);
    host.engine().start(prepared.container_id);
    if (has_ended) wait_for_end(prepared.container_id);
    host.restart();
    const LeaseRecord over = host.carry_out(ActionKind::start);
    CHECK_FALSE(over.started);
    CHECK(over.container_id.empty());
    CHECK_FALSE(host.engine().inspect(prepared.container_id));

    const std::string id = host.carry_out(ActionKind::prepare).container_id;
    const LeaseRecord started = host.carry_out(ActionKind::start, StopCause::none, true);
    CHECK(started.started);
    CHECK(started.connected);
    wait_for_end(id);
    CHECK(host.carry_out(ActionKind::record_exit).exit->exit_code == 0);
    host.carry_out(ActionKind::remove);
}

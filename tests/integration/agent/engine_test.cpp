// The engine client against a real Podman service.
#include "agent/engine.hpp"

#include "agent/clock.hpp"
#include "agent/container_runtime.hpp"
#include "agent/engine_exec.hpp"
#include "agent/enroll.hpp"
#include "agent/log_shipper.hpp"
#include "guard/cgroups.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

TEST_CASE("the engine says what it is") {
    const EngineFacts facts = Engine(PodmanService::instance().socket()).facts();
    CHECK(facts.flavour == EngineFlavour::podman);
    CHECK(facts.name.starts_with("podman "));
    CHECK(facts.runtime == "runc");
    CHECK(facts.containers_folder.ends_with("-containers"));
}

TEST_CASE("another runtime than Podman's service has is refused, and without a word its own is taken") {
    ContainerOptions options{
        .host_id = "host_1", .socket_path = PodmanService::instance().socket(), .runtime = ""};
    CHECK(containers_here(options).runtime == "runc");
    options.runtime = "runsc";
    CHECK_THROWS_WITH(containers_here(options), Catch::Contains("podman --runtime runsc system service"));
}

TEST_CASE("what is said of the engine when the host is enrolled was seen") {
    HostDescription host;
    const std::string socket = PodmanService::instance().socket();
    for (const char* wanted : {"", "runc"}) {
        describe_engine(host, socket, wanted);
        CHECK(host.runtime == "runc");
        CHECK(host.engine.starts_with("podman "));
    }
    CHECK_THROWS_AS(describe_engine(host, socket, "crun"), RuntimeError);
    describe_engine(host, "/tmp/fallow-no-such-socket", "runc");
    CHECK(host.runtime.empty());
    CHECK(host.engine == "unknown");
}

TEST_CASE("a socket without an engine is a transport error") {
    Engine engine("/tmp/fallow-no-such-socket");
    CHECK_THROWS_AS(engine.facts(), fallow::sdk::TransportError);
}

TEST_CASE("images are found, and a pull that cannot work says so") {
    Engine engine(PodmanService::instance().socket());
    const auto image = engine.find_image(test_image);
    REQUIRE(image);
    CHECK(image->volumes == std::vector<std::string>{"/data"});
    CHECK_FALSE(engine.find_image("localhost/fallow-no-such-image:1"));
    // A registry on a closed port of this machine: refused at once.
    CHECK_THROWS_AS(engine.pull("127.0.0.1:1/nothing:1", {}), EngineError);
}

TEST_CASE("a container goes through its states, and is found by its label") {
    const DesiredLease lease = a_lease("trap 'exit 3' USR1; echo ready; while :; do sleep 0.05; done");
    Guest guest(lease);
    const auto seen_state = [&] {
        CHECK(guest.engine.list("host_2").empty());
        for (const ContainerSeen& seen : guest.engine.list("host_1"))
            if (seen.id == guest.id) {
                CHECK(seen.lease_id == lease.lease_id);
                CHECK(seen.lease_epoch == lease.lease_epoch);
                return seen.state;
            }
        return ContainerState::unknown;
    };
    CHECK(seen_state() == ContainerState::created);
    CHECK_FALSE(guest.engine.inspect(guest.id)->ever_started);
    guest.start();
    guest.wait_for_output("ready");
    CHECK(seen_state() == ContainerState::running);
    CHECK(guest.engine.inspect(guest.id)->ever_started);
    CHECK(guest.engine.pause(guest.id));
    CHECK(seen_state() == ContainerState::paused);
    CHECK_FALSE(guest.engine.pause(guest.id));
    CHECK(guest.engine.resume(guest.id));
    CHECK(guest.engine.signal(guest.id, "SIGUSR1"));
    const ContainerInspection end = guest.wait_for_end();
    CHECK(end.exit_code == 3);
    CHECK(end.finished_unix_ms >= end.started_unix_ms);
    CHECK(seen_state() == ContainerState::exited);
    CHECK_FALSE(guest.engine.signal(guest.id, "SIGKILL"));
    guest.engine.remove(guest.id);
    CHECK(seen_state() == ContainerState::unknown);
    CHECK_FALSE(guest.engine.inspect(guest.id));
    CHECK_NOTHROW(guest.engine.remove(guest.id));
}

TEST_CASE("a guest may clean up at SIGTERM; one that ignores it ends with SIGKILL") {
    Guest polite(a_lease("trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done"));
    polite.start();
    polite.wait_for_output("ready");
    CHECK(polite.engine.signal(polite.id, "SIGTERM"));
    CHECK(polite.wait_for_end().exit_code == 0);
    CHECK(polite.output().standard_output == "ready\ncleaned\n");

    Guest stubborn(a_lease("trap '' TERM; echo ready; while :; do sleep 0.05; done"));
    stubborn.start();
    stubborn.wait_for_output("ready");
    CHECK(stubborn.engine.signal(stubborn.id, "SIGTERM"));
    CHECK(stubborn.engine.signal(stubborn.id, "SIGKILL"));
    CHECK(stubborn.wait_for_end().exit_code == 137);
}

TEST_CASE("a frozen guest can be killed") {
    Guest guest(a_lease("echo ready; while :; do sleep 0.05; done"));
    guest.start();
    guest.wait_for_output("ready");
    CHECK(guest.engine.pause(guest.id));
    guest.engine.signal(guest.id, "SIGKILL");
    guest.engine.resume(guest.id);
    CHECK(guest.wait_for_end().exit_code == 137);
}

TEST_CASE("a frozen guest is known as such, whoever froze it") {
    Guest guest(a_lease("echo ready; while :; do sleep 0.05; done"));
    guest.start();
    guest.wait_for_output("ready");
    // The kernel stops and wakes processes a moment after it was asked.
    const auto becomes = [&](bool frozen) {
        const std::int64_t deadline = boot_clock_ms() + patience_ms;
        while (is_frozen(guest.engine, guest.id) != frozen && boot_clock_ms() < deadline)
            std::this_thread::yield();
        return is_frozen(guest.engine, guest.id) == frozen;
    };
    CHECK(becomes(false));
    CHECK(guest.engine.pause(guest.id));
    CHECK(becomes(true));
    CHECK(guest.engine.resume(guest.id));
    CHECK(becomes(false));

    const auto group = fallow::guard::Cgroups::here().find(guest.id);
    REQUIRE(group);
    CHECK(fallow::guard::Cgroups::freeze(*group));
    CHECK(becomes(true));
    CHECK(guest.engine.inspect(guest.id)->state == ContainerState::running);
    CHECK(fallow::guard::Cgroups::thaw(*group));
    CHECK(becomes(false));
}

TEST_CASE("the two streams come apart, complete, while the guest runs and afterwards") {
    Guest guest(
        a_lease("i=0; while [ $i -lt 300 ]; do echo out $i; echo err $i >&2; i=$((i+1)); done; "
                "head -c 100000 /dev/zero | tr '\\0' x; printf 'the end'"));
    std::string out;
    std::string err;
    for (int i = 0; i < 300; ++i) {
        out += "out " + std::to_string(i) + "\n";
        err += "err " + std::to_string(i) + "\n";
    }
    out += std::string(100'000, 'x') + "the end";
    guest.start();
    const GuestOutput followed = guest.output(true);
    CHECK(followed.standard_error == err);
    guest.wait_for_end();
    const GuestOutput after = guest.output();
    CHECK(after.standard_output == out);
    CHECK(after.standard_error == err);
}

TEST_CASE("a command that is not in the image fails at the start") {
    DesiredLease lease = a_lease("");
    lease.spec->command = {"/no/such/program"};
    Guest guest(lease);
    CHECK_THROWS_AS(guest.engine.start(guest.id), EngineError);
}

TEST_CASE("a second container of the same lease takes the place of the first") {
    const DesiredLease lease = a_lease("true");
    Guest guest(lease);
    const std::string second = guest.engine.create(guest.profile, EngineFlavour::podman);
    CHECK(second != guest.id);
    CHECK_FALSE(guest.engine.inspect(guest.id));
    guest.engine.remove(second);
}

// The guest profile under runsc: what guest_test.cpp shows of runc, as far as a kernel in user space can be
// asked for it. podman_service.sh starts runsc with the flags that such a machine needs; --ignore-cgroups
// is one of them, so the limits on memory, processor and processes are not looked at here.
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "agent/container_runtime.hpp"
#include "guard/process.hpp"
#include "guard/runtime.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
namespace guard = fallow::guard;

namespace {

HostFacts runsc_host(bool user_namespace = false) {
    HostFacts host = host_facts();
    host.runtime = "runsc";
    host.user_namespace = user_namespace;
    return host;
}

/// A guest under runsc.
struct Inside : Guest {
    explicit Inside(const DesiredLease& lease, const HostFacts& host = runsc_host())
        : Guest(lease, EngineFlavour::podman, host) {
        INFO("apt-get install runsc");
        REQUIRE(::access("/usr/bin/runsc", X_OK) == 0);
    }
    std::string output_at_end() {
        start();
        wait_for_end();
        return output().standard_output;
    }
};

std::string run(const std::string& script) {
    return Inside(a_lease(script)).output_at_end();
}

}  // namespace

TEST_CASE("under runsc a guest has a kernel of its own, and no capabilities") {
    const std::string seen =
        run("cat /proc/version; grep -E '^Cap(Eff|Bnd)' /proc/self/status; "
            "mount -t tmpfs x /tmp && echo may-mount; true");
    INFO(seen);
    CHECK(seen.find("Linux version 4.4.0 ") != seen.npos);  // what gVisor says it is
    CHECK(seen.find("CapEff:\t0000000000000000") != seen.npos);
    CHECK(seen.find("CapBnd:\t0000000000000000") != seen.npos);
    CHECK(seen.find("may-") == seen.npos);
}

TEST_CASE("under runsc a guest can write to /tmp and /work/out and to no other folder of the root") {
    CHECK(run("for d in / /bin /etc /run /var/tmp /data /work /work/in /work/out /tmp /proc/sys/kernel "
              "/sys; do touch $d/probe 2>/dev/null && echo \"writable $d\"; done; true") ==
          "writable /work/out\nwritable /tmp\n");
}

TEST_CASE("under runsc a guest has no network but its own loopback") {
    const std::string seen =
        run("cat /proc/net/dev; wget -T 2 -O - http://10.0.0.1/ && echo reached; true");
    INFO(seen);
    CHECK(seen.find("lo:") != seen.npos);
    CHECK(seen.find("eth") == seen.npos);
    CHECK(seen.find("reached") == seen.npos);
}

TEST_CASE("no guest is given a network under a runtime whose stack the gate was not tried with") {
    const auto runtime = GENERATE(as<std::string>{}, "runc", "runsc");
    const auto gate = std::make_shared<NetworkGate>(GateOptions{.folder = "/nonexistent/gate"});
    const ContainersHere here = containers_here({.host_id = "host_1",
                                                 .socket_path = PodmanService::under(runtime).socket(),
                                                 .runtime = runtime,
                                                 .gate = gate});
    INFO(runtime);
    CHECK(here.runtime == runtime);
    CHECK(here.has_network == (runtime == "runc"));
    CHECK(here.user_namespace == (runtime != "runsc"));
}

TEST_CASE("under runsc variables that steer the loader or the GPU runtime do not reach a guest") {
    DesiredLease lease = a_lease("env");
    lease.spec->env = {{"GREETING", "hello world"}, {"LD_LIBRARY_PATH", "/evil"}};
    const std::string seen = Inside(lease).output_at_end();
    INFO(seen);
    CHECK(seen.find("GREETING=hello world\n") != seen.npos);
    CHECK(seen.find("evil") == seen.npos);
    CHECK(seen.find("NVIDIA_VISIBLE_DEVICES=all") == seen.npos);
}

TEST_CASE("under runsc a guest reads its inputs, cannot change them, and its exit code is known") {
    Inside guest(
        a_lease("cat /work/in/data; echo x 2>/dev/null >/work/in/data || echo refused; echo y "
                ">/work/out/y; exit 9"));
    std::ofstream(guest.storage.inputs() / "data") << "forty-two\n";
    guest.start();
    CHECK(guest.wait_for_end().exit_code == 9);
    CHECK(guest.output().standard_output == "forty-two\nrefused\n");
    CHECK(std::filesystem::file_size(guest.storage.outputs() / "y") == 2U);
}

TEST_CASE("under runsc a guest with a user namespace is root inside and somebody else outside") {
    // Not what the agent does: its state folder cannot be passed from within such a namespace.
    Inside guest(a_lease("id -u; echo x >/work/out/x"), runsc_host(true));
    CHECK(guest.output_at_end() == "0\n");
    struct stat made {};
    REQUIRE(::stat((guest.storage.outputs() / "x").c_str(), &made) == 0);
    CHECK(made.st_uid > 65'535);
}

TEST_CASE("under runsc a guest cannot fill more than its disk") {
    CHECK(run("dd if=/dev/zero of=/work/out/a bs=1M count=5 2>/dev/null && echo first; "
              "dd if=/dev/zero of=/work/out/b bs=1M count=5 2>/dev/null && echo second; true") ==
          "first\n");
}

TEST_CASE("under runsc a further process runs in the guest") {
    Inside guest(a_lease("echo ready; while :; do sleep 0.05; done"));
    guest.start();
    guest.wait_for_output("ready");
    ContainerRuntime runtime(guest.podman.socket(), EngineFlavour::podman, runsc_host());
    CHECK(runtime.run_in(guest.id, {"/bin/sh", "-c", "exit 3"}, patience_ms, {}) == 3);
}

TEST_CASE("under runsc a guest is frozen by the engine, and killed by the guard") {
    Inside guest(a_lease("echo ready; while :; do sleep 0.05; done"));
    guest.start();
    guest.wait_for_output("ready");
    // Out of the control groups, so the engine's pause is what the guard has.
    CHECK_FALSE(guard::Cgroups::here().find(guest.id));
    CHECK(guest.engine.pause(guest.id));
    CHECK(is_frozen(guest.engine, guest.id));
    CHECK(guest.engine.resume(guest.id));
    CHECK_FALSE(is_frozen(guest.engine, guest.id));
    const auto inspection = guest.engine.inspect(guest.id);
    REQUIRE(inspection);
    guard::Watched watched;
    watched.container = guest.id;
    watched.pid = inspection->pid;
    watched.start_ticks = guard::start_ticks_of(inspection->pid).value_or(0);
    guard::Runtime runtime(guard::Cgroups::here(), guard::EngineSocket(guest.podman.socket()));
    CHECK(runtime.kill(watched));
    CHECK(guest.wait_for_end().exit_code == 137);
}

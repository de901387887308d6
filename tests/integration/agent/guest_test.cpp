// The guest profile, enforced by a real engine: what DESIGN.md section 5 promises about a renter's
// container.
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <fstream>

#include "agent/oom.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

std::string run(const std::string& script, EngineFlavour flavour = EngineFlavour::podman,
                const HostFacts& host = host_facts()) {
    Guest guest(a_lease(script), flavour, host);
    guest.start();
    guest.wait_for_end();
    return guest.output().standard_output;
}

}  // namespace

TEST_CASE("a guest is in a user namespace, without capabilities or new privileges, under seccomp") {
    const auto flavour = GENERATE(EngineFlavour::podman, EngineFlavour::docker);
    const std::string seen =
        run("cat /proc/self/uid_map; grep -E '^(Cap|NoNewPrivs|Seccomp):|^Cap' /proc/self/status; "
            "unshare -n true && echo may-unshare; mount -t tmpfs x /tmp && echo may-mount; true",
            flavour);
    INFO(seen);
    CHECK(seen.find("65536\n") != std::string::npos);
    CHECK(seen.find("         0          0") == std::string::npos);
    CHECK(seen.find("CapEff:\t0000000000000000") != std::string::npos);
    CHECK(seen.find("CapBnd:\t0000000000000000") != std::string::npos);
    CHECK(seen.find("NoNewPrivs:\t1") != std::string::npos);
    CHECK(seen.find("Seccomp:\t2") != std::string::npos);
    CHECK(seen.find("may-") == std::string::npos);
}

TEST_CASE("a guest can write to /tmp and /work/out and to no other folder of the root") {
    const auto flavour = GENERATE(EngineFlavour::podman, EngineFlavour::docker);
    const std::string seen = run(
        "for d in / /bin /etc /run /var/tmp /data /work /work/in /work/out /tmp /proc/sys/kernel /sys; do "
        "touch $d/probe 2>/dev/null && echo \"writable $d\"; done; true",
        flavour);
    CHECK(seen == "writable /work/out\nwritable /tmp\n");
}

TEST_CASE("a guest has no network but its own loopback") {
    const auto flavour = GENERATE(EngineFlavour::podman, EngineFlavour::docker);
    const std::string seen = run("ls /sys/class/net; ip route; wget -T 2 http://10.0.0.1/ 2>&1", flavour);
    INFO(seen);
    CHECK(seen.substr(0, 3) == "lo\n");
    CHECK(seen.find("eth") == std::string::npos);
    CHECK(seen.find("default") == std::string::npos);
}

TEST_CASE("variables that steer the loader or the GPU runtime do not reach a guest") {
    const auto flavour = GENERATE(EngineFlavour::podman, EngineFlavour::docker);
    DesiredLease lease = a_lease("env");
    lease.spec->env = {
        {"GREETING", "hello world"}, {"LD_LIBRARY_PATH", "/evil"}, {"NVIDIA_DISABLE_REQUIRE", "1"}};
    Guest guest(lease, flavour);
    guest.start();
    guest.wait_for_end();
    const std::string seen = guest.output().standard_output;
    INFO(seen);
    CHECK(seen.find("GREETING=hello world\n") != std::string::npos);
    CHECK(seen.find("evil") == std::string::npos);
    CHECK(seen.find("NVIDIA_VISIBLE_DEVICES=all") == std::string::npos);
    CHECK(seen.find("NVIDIA_DISABLE_REQUIRE") == std::string::npos);
}

TEST_CASE("a guest over its memory limit is killed, and the kill is seen") {
    Guest guest(a_lease("tail /dev/zero"));
    guest.start();
    const ContainerInspection end = guest.wait_for_end();
    CHECK(end.exit_code == 137);
    CHECK((end.oom_killed || oom_kills_of(guest.id) > 0));
}

TEST_CASE("a guest within its memory limit is not taken for one that was killed") {
    Guest guest(a_lease("exit 9"));
    guest.start();
    const ContainerInspection end = guest.wait_for_end();
    CHECK(end.exit_code == 9);
    CHECK_FALSE(end.oom_killed);
    CHECK(oom_kills_of(guest.id) == 0);
}

TEST_CASE("a guest cannot have more processes than its limit") {
    const auto flavour = GENERATE(EngineFlavour::podman, EngineFlavour::docker);
    const std::string seen = run(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do sleep 60 & done "
        "2>/dev/null; echo reached the end",
        flavour);
    CHECK(seen.find("reached the end") == std::string::npos);
}

TEST_CASE("a guest cannot fill more than its disk") {
    const auto kind = GENERATE(StorageKind::loop, StorageKind::tmpfs);
    if (kind == StorageKind::loop && storage_kind_here() != StorageKind::loop) return;
    Guest guest(a_lease("dd if=/dev/zero of=/work/out/a bs=1M count=5 2>/dev/null && echo first; "
                        "dd if=/dev/zero of=/work/out/b bs=1M count=5 2>/dev/null && echo second; true"),
                EngineFlavour::podman, host_facts(), kind);
    guest.start();
    guest.wait_for_end();
    CHECK(guest.output().standard_output == "first\n");
    CHECK(std::filesystem::file_size(guest.storage.outputs() / "a") == 5U << 20);
}

TEST_CASE("without a user namespace a guest runs as nobody") {
    const auto flavour = GENERATE(EngineFlavour::podman, EngineFlavour::docker);
    HostFacts host = host_facts();
    host.user_namespace = false;
    CHECK(run("id -u; id -g; touch /work/out/x && echo wrote", flavour, host) == "65534\n65534\nwrote\n");
}

TEST_CASE("a guest reads its inputs and cannot change them") {
    Guest guest(a_lease("cat /work/in/deep/data; echo x 2>/dev/null >/work/in/deep/data || echo refused"));
    std::filesystem::create_directories(guest.storage.inputs() / "deep");
    std::ofstream(guest.storage.inputs() / "deep" / "data") << "forty-two\n";
    guest.start();
    guest.wait_for_end();
    CHECK(guest.output().standard_output == "forty-two\nrefused\n");
}

TEST_CASE("a card reaches a guest by its CDI name") {
    // A device of the host under a name of its own, the same inside and outside, as a card's is.
    const std::string device = "/dev/fallow-test-card";
    ::unlink(device.c_str());
    REQUIRE(::mknod(device.c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0);
    const std::filesystem::path spec = "/var/run/cdi/fallow-test.json";
    std::filesystem::create_directories(spec.parent_path());
    std::ofstream(spec)
        << R"({"cdiVersion":"0.4.0","kind":"nvidia.com/gpu","devices":[{"name":"GPU-fallow-test",)"
        << R"("containerEdits":{"deviceNodes":[{"path":")" << device << R"("}]}}]})";
    std::string seen;
    {
        DesiredLease lease = a_lease("test -c /dev/fallow-test-card && echo there");
        lease.cards = {{"card_x", "GPU-fallow-test", "nvml", "gpu", 0}};
        Guest guest(lease);
        guest.start();
        guest.wait_for_end();
        seen = guest.output().standard_output;
    }
    std::filesystem::remove(spec);
    std::filesystem::remove(device);
    CHECK(seen == "there\n");
}

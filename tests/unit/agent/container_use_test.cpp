// Control groups of either version as the kernel writes them, and this machine's own.
#include "agent/container_use.hpp"

#include <catch2/catch.hpp>
#include <fstream>

#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

const std::string id(64, 'a');

constexpr const char* mounts_v1 =
    "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
    "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
constexpr const char* mounts_v2 = "30 23 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";

void write(const std::filesystem::path& path, const std::string& text) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
}

}  // namespace

TEST_CASE("a container's groups are found by its id, in either version") {
    const std::string groups_v1 = "9:name=systemd:/\n4:memory:/libpod_parent/libpod-" + id +
                                  "\n2:cpu,cpuacct:/libpod_parent/libpod-" + id + "\n0::/\n";
    CHECK(container_groups(mounts_v1, groups_v1, id) ==
          ContainerGroups{"/sys/fs/cgroup/cpu,cpuacct/libpod_parent/libpod-" + id, false,
                          "/sys/fs/cgroup/memory/libpod_parent/libpod-" + id, false});
    const std::string scope = "/machine.slice/libpod-" + id + ".scope";
    CHECK(container_groups(mounts_v2, "0::" + scope + "/container\n", id) ==
          ContainerGroups{"/sys/fs/cgroup" + scope, true, "/sys/fs/cgroup" + scope, true});
}

TEST_CASE("a guest that its runtime keeps out of the groups is not taken for the agent itself") {
    CHECK_FALSE(container_groups(mounts_v1, "4:memory:/\n2:cpu,cpuacct:/\n0::/\n", id));
    CHECK_FALSE(container_groups(mounts_v2, "0::/user.slice\n", id));
    CHECK_FALSE(container_groups(mounts_v2, "0::/docker/" + id + "\n", std::string()));
    CHECK_FALSE(container_groups(mounts_v1, "4:memory:/x-" + id + "\n2:cpu,cpuacct:/\n", id));
    CHECK_FALSE(container_groups(mounts_v2, "0::/docker/" + id + "\n", "aaa"));
    CHECK_FALSE(container_groups("", "", id));
    CHECK_FALSE(container_groups_of(0, id));
    CHECK_FALSE(container_groups_of(1, id));
}

TEST_CASE("what was used is read without what the kernel may drop at once") {
    const TemporaryFolder folder;
    const auto first = folder.path() / "v1";
    write(first / "cpuacct.usage", "1234567890\n");
    write(first / "memory.usage_in_bytes", "9000\n");
    write(first / "memory.stat", "cache 5000\ninactive_file 1\ntotal_inactive_file 4000\n");
    CHECK(read_use({first, false, first, false}) == ContainerUse{1'234'567'890, 5000});
    const auto second = folder.path() / "v2";
    write(second / "cpu.stat", "usage_usec 1234\nuser_usec 1000\n");
    write(second / "memory.current", "9000\n");
    write(second / "memory.stat", "anon 5000\ninactive_file 9001\n");
    CHECK(read_use({second, true, second, true}) == ContainerUse{1'234'000, 0});
    CHECK_FALSE(read_use({folder.path() / "gone", true, folder.path() / "gone", true}));
}

TEST_CASE("processor time against what the guest may have") {
    CHECK(cpu_thousandths(500'000'000, 1000, 1000) == 500);
    CHECK(cpu_thousandths(500'000'000, 1000, 2000) == 250);
    CHECK(cpu_thousandths(3'000'000'000, 1000, 2000) == 1000);  // the kernel's accounts run ahead a little
    CHECK(cpu_thousandths(-5, 1000, 2000) == 0);
    CHECK(cpu_thousandths(5, 0, 2000) == 0);
    CHECK(cpu_thousandths(86'400'000'000'000'000, 86'400'000, 1'000'000) == 1000);
}

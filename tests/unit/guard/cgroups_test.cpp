// The control groups' files, in a folder that looks like theirs: both versions, and only the right group.
#include "guard/cgroups.hpp"

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

using namespace fallow::guard;

namespace {

namespace fs = std::filesystem;
const std::string id = "3091e8bff0b24a50d4e43cee9fdb3d22eb77f8a743cb329d07061e160620b9e7";

class FakeGroups {
  public:
    FakeGroups() {
        std::string name = (fs::temp_directory_path() / "fallow-cgroups-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        root = name;
    }
    ~FakeGroups() {
        std::error_code ignored;
        fs::remove_all(root, ignored);
    }
    FakeGroups(const FakeGroups&) = delete;
    FakeGroups& operator=(const FakeGroups&) = delete;

    fs::path add(const std::string& path, const std::string& file, const std::string& content) {
        fs::create_directories(root / path);
        std::ofstream(root / path / file) << content;
        return root / path;
    }
    static std::string read(const fs::path& file) {
        std::ifstream stream(file);
        return std::string(std::istreambuf_iterator<char>(stream), {});
    }

    fs::path root;
};

}  // namespace

TEST_CASE("the freezer's mounts are found, version 1 before version 2") {
    const auto roots = freezer_roots(
        "25 21 0:22 / /sys/fs/cgroup/unified rw,relatime shared:1 - cgroup2 cgroup2 rw\n"
        "26 21 0:23 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "27 21 0:24 / /sys/fs/cgroup/freezer rw,nosuid - cgroup cgroup rw,freezer\n"
        "28 21 0:25 / /tmp rw - tmpfs tmpfs rw\n"
        "garbage\n");
    REQUIRE(roots.size() == 2);
    CHECK(roots[0].path == "/sys/fs/cgroup/freezer");
    CHECK_FALSE(roots[0].is_v2);
    CHECK(roots[1].path == "/sys/fs/cgroup/unified");
    CHECK(roots[1].is_v2);
}

TEST_CASE("a container's group is found by its id, whatever the engine calls it, and never its helper's") {
    for (const std::string& path : {"libpod_parent/libpod-" + id, "machine.slice/libpod-" + id + ".scope",
                                    "docker/" + id, "system.slice/docker-" + id + ".scope"}) {
        FakeGroups fake;
        fake.add("libpod_parent/libpod-conmon-" + id, "freezer.state", "THAWED\n");
        const Cgroups groups({{fake.root, false}});
        CHECK_FALSE(groups.find(id));
        fake.add(path, "freezer.state", "THAWED\n");
        const auto found = groups.find(id);
        REQUIRE(found);
        CHECK(found->path == fake.root / path);
    }
}

TEST_CASE("version 1: the state's word is written, and read") {
    FakeGroups fake;
    const fs::path path = fake.add("libpod-" + id, "freezer.state", "THAWED\n");
    const Cgroups::Group group{path, false};
    CHECK_FALSE(Cgroups::is_frozen(group));
    CHECK(Cgroups::freeze(group));
    CHECK(FakeGroups::read(path / "freezer.state").starts_with("FROZEN"));
    CHECK(Cgroups::is_frozen(group));
    CHECK(Cgroups::thaw(group));
    CHECK_FALSE(Cgroups::is_frozen(group));
    // Asked for, and processes are still within the kernel.
    fake.add("libpod-" + id, "freezer.state", "FREEZING\n");
    CHECK_FALSE(Cgroups::is_frozen(group));
}

TEST_CASE("version 2: it is frozen when the kernel says so, not when it was asked") {
    FakeGroups fake;
    const fs::path path = fake.add("libpod-" + id + ".scope", "cgroup.freeze", "0\n");
    fake.add("libpod-" + id + ".scope", "cgroup.events", "populated 1\nfrozen 0\n");
    const Cgroups::Group group{path, true};
    CHECK(Cgroups::freeze(group));
    CHECK(FakeGroups::read(path / "cgroup.freeze").starts_with("1"));
    CHECK_FALSE(Cgroups::is_frozen(group));
    fake.add("libpod-" + id + ".scope", "cgroup.events", "populated 1\nfrozen 1\n");
    CHECK(Cgroups::is_frozen(group));
    CHECK(Cgroups::thaw(group));
    CHECK(FakeGroups::read(path / "cgroup.freeze").starts_with("0"));
}

TEST_CASE("a group that is gone is not frozen, and says so") {
    CHECK_FALSE(Cgroups::freeze({"/nonexistent", false}));
    CHECK_FALSE(Cgroups::is_frozen({"/nonexistent", false}));
    CHECK_FALSE(Cgroups::thaw({"/nonexistent", true}));
}

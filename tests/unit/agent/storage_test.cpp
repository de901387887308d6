// Working storage. Mounting needs root, which the agent has on its host.
#include "agent/storage.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

bool opens(const WorkingStorage& storage, const std::string& path) {
    const auto fd = storage.open_output(path);
    if (fd) ::close(*fd);
    return fd.has_value();
}

}  // namespace

TEST_CASE("what a guest leaves behind cannot lead the agent astray") {
    const TemporaryFolder folder;
    const WorkingStorage storage(folder.path());
    std::filesystem::create_directories(storage.outputs() / "sub");
    std::ofstream(folder.path() / "secret") << "secret";
    std::ofstream(storage.outputs() / "good") << "good";
    std::ofstream(storage.outputs() / "sub" / "good") << "good";
    std::filesystem::create_symlink("/etc/passwd", storage.outputs() / "absolute");
    std::filesystem::create_symlink("../secret", storage.outputs() / "relative");
    std::filesystem::create_symlink("good", storage.outputs() / "harmless");
    std::filesystem::create_directory_symlink("/etc", storage.outputs() / "folder");
    REQUIRE(::mkfifo((storage.outputs() / "pipe").c_str(), 0666) == 0);
    CHECK(opens(storage, "good"));
    CHECK(opens(storage, "sub/good"));
    for (const char* path : {"absolute", "relative", "harmless", "folder/passwd", "pipe", "sub", "none",
                             "../secret", "/etc/passwd", "sub/../good", ""}) {
        INFO(path);
        CHECK_FALSE(opens(storage, path));
    }
}

TEST_CASE("an output folder has the size it was made with, and nothing is left of it") {
    const auto kind = GENERATE(StorageKind::loop, StorageKind::tmpfs);
    if (::geteuid() != 0 || (kind == StorageKind::loop && storage_kind_here() != StorageKind::loop)) return;
    const TemporaryFolder folder;
    WorkingStorage storage(folder.path());
    storage.make(kind, 8 << 20);
    const auto space = std::filesystem::space(storage.outputs());
    CHECK(space.available <= 10U << 20);
    CHECK(space.available >= 7U << 20);
    CHECK(std::filesystem::is_empty(storage.outputs()));
    std::ofstream(storage.outputs() / "file") << "content";
    storage.make(kind, 8 << 20);
    CHECK(std::filesystem::is_empty(storage.outputs()));
    storage.wipe();
    CHECK(std::filesystem::is_empty(folder.path()));
    storage.wipe();
}

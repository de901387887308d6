// What is left of working storage on the disk below it, found by reading the whole disk. Mounting needs
// root, which the agent has on its host.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <fstream>
#include <string>

#include "agent/run_program.hpp"
#include "agent/storage.hpp"
#include "agent/volume_key.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

bool can_mount() {
    return ::geteuid() == 0 && storage_kind_here() == StorageKind::loop;
}

/// A host's disk, which is a file here.
class Disk {
  public:
    Disk() {
        std::ofstream(image()).close();
        std::filesystem::resize_file(image(), 40 << 20);
        run_program({"/sbin/mkfs.ext4", "-q", "-F", "-O", "^has_journal", image().string()});
        std::filesystem::create_directory(root());
        run_program({"/bin/mount", "-o", "loop", image().string(), root().string()});
    }
    ~Disk() { ::umount2(root().c_str(), MNT_DETACH); }
    Disk(const Disk&) = delete;
    Disk& operator=(const Disk&) = delete;

    [[nodiscard]] std::filesystem::path root() const { return folder_.path() / "disk"; }
    /// Whether those octets stand anywhere on it.
    [[nodiscard]] bool holds(const std::string& text) const {
        ::sync();
        std::string all(std::filesystem::file_size(image()), '\0');
        std::ifstream file(image(), std::ios::binary);
        file.read(all.data(), static_cast<std::streamsize>(all.size()));
        REQUIRE(file);
        return all.find(text) != all.npos;
    }

  private:
    [[nodiscard]] std::filesystem::path image() const { return folder_.path() / "disk.img"; }
    TemporaryFolder folder_;
};

/// Long enough to have blocks of its own, in two halves so that this program's own memory is no disk.
std::string secret(const std::string& what) {
    return "the " + what + " of a renter, 7f3a";
}
void write_secret(const std::filesystem::path& path, const std::string& what) {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream file(path);
    for (int i = 0; i < 1000; ++i)
        file << secret(what) << '\n';
}

}  // namespace

TEST_CASE("nothing that a renter had is on the disk after its lease") {
    if (!can_mount()) return;
    const Disk disk;
    WorkingStorage storage(disk.root() / "lease");
    const bool is_here = GENERATE(true, false);
    if (is_here) {
        storage.make(StorageKind::loop, 16 << 20);
    } else {
        storage.make_detached(16 << 20);
        storage.attach(false);
    }
    write_secret(storage.outputs() / "name-9c41" / "result", "result");
    write_secret(storage.inputs() / "data", "input");
    storage.clear_spool();
    write_secret(storage.spool() / "chunk", "checkpoint");
    // The reading finds what is there.
    CHECK(disk.holds(secret("input")));
    CHECK(disk.holds(secret("checkpoint")));
    const bool is_encrypted = is_here && can_encrypt_folders();
    CHECK(disk.holds(secret("result")) == !is_encrypted);
    CHECK(disk.holds("name-9c41") == !is_encrypted);

    storage.wipe();
    for (const char* what : {"result", "input", "checkpoint"}) {
        INFO(what);
        CHECK_FALSE(disk.holds(secret(what)));
    }
    CHECK_FALSE(disk.holds("name-9c41"));
}

TEST_CASE("a removal alone would leave it there") {
    if (!can_mount()) return;
    const Disk disk;
    write_secret(disk.root() / "file", "result");
    REQUIRE(disk.holds(secret("result")));
    std::filesystem::remove(disk.root() / "file");
    CHECK(disk.holds(secret("result")));
}

TEST_CASE("who copies an encrypted volume while it is in use reads nothing of it afterwards") {
    if (!can_mount() || !can_encrypt_folders()) return;
    const TemporaryFolder folder;
    WorkingStorage storage(folder.path() / "lease");
    storage.make(StorageKind::loop, 16 << 20);
    write_secret(storage.outputs() / "result", "result");
    ::sync();
    const auto copy = folder.path() / "copy.img";
    std::filesystem::copy_file(folder.path() / "lease" / "out.img", copy);
    storage.wipe();

    const auto mounted = folder.path() / "mounted";
    std::filesystem::create_directory(mounted);
    run_program({"/bin/mount", "-o", "loop", copy.string(), mounted.string()});
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(mounted / "data")) {
        ++files;
        CHECK(entry.path().filename() != "result");
        CHECK(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC) < 0);
        CHECK(errno == ENOKEY);
    }
    CHECK(files == 1);
    ::umount2(mounted.c_str(), MNT_DETACH);
}

TEST_CASE("an encrypted volume is as large as it was asked for, and nothing shows of how it is made") {
    if (!can_mount()) return;
    const TemporaryFolder folder;
    WorkingStorage storage(folder.path() / "lease");
    storage.make(StorageKind::loop, 16 << 20);
    CHECK(std::filesystem::is_empty(storage.outputs()));
    CHECK(std::filesystem::space(storage.outputs()).available >= 15U << 20);
    CHECK(holds_encrypted_folders(folder.path() / "lease" / "out.img") == can_encrypt_folders());
    storage.wipe();
    CHECK(std::filesystem::is_empty(folder.path() / "lease"));
}

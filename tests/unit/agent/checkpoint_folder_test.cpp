// What is saved of a job's folder, and how a change shows.
#include "agent/checkpoint_folder.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <fstream>

#include "agent/storage.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

namespace fs = std::filesystem;

void put(const fs::path& path, const std::string& content) {
    std::ofstream(path) << content;
}

struct Saved {
    Saved() : storage(folder.path()), root(storage.outputs() / "saved") { fs::create_directories(root); }
    [[nodiscard]] CheckpointFolder open() const {
        const auto fd = storage.open_output_folder("saved");
        REQUIRE(fd);
        return CheckpointFolder(*fd);
    }
    [[nodiscard]] std::string paths() const {
        std::string all;
        for (const FolderEntry& entry : open().scan())
            all += (all.empty() ? "" : " ") + entry.path;
        return all;
    }

    TemporaryFolder folder;
    WorkingStorage storage;
    fs::path root;
};

std::string read(const CheckpointFolder& folder, const FolderEntry& entry, bool& good) {
    std::string content;
    good = folder.read(entry, [&](const std::string& octets) { content += octets; });
    return content;
}

}  // namespace

TEST_CASE("files, folders and links are saved, each folder before what it holds") {
    const Saved saved;
    fs::create_directories(saved.root / "b/c");
    put(saved.root / "b/c/deep", "deep");
    put(saved.root / "a", "content");
    fs::create_symlink("/etc/passwd", saved.root / "link");
    put(saved.root / "half.tmp", "half");
    REQUIRE(::mkfifo((saved.root / "pipe").c_str(), 0666) == 0);
    CHECK(saved.paths() == "a b b/c b/c/deep link");
    const auto entries = saved.open().scan();
    CHECK((entries[0].kind == EntryKind::file && entries[0].bytes == 7));
    CHECK(entries[1].kind == EntryKind::folder);
    CHECK((entries[4].kind == EntryKind::link && entries[4].target == "/etc/passwd"));
}

TEST_CASE("nothing is read through a link, or from outside") {
    const Saved saved;
    fs::create_directory_symlink("/etc", saved.root / "etc");
    CHECK(saved.paths() == "etc");
    fs::create_directory_symlink("/etc", saved.storage.outputs() / "elsewhere");
    CHECK_FALSE(saved.storage.open_output_folder("elsewhere"));
    CHECK_FALSE(saved.storage.open_output_folder("../in"));
    put(saved.storage.outputs() / "file", "no folder");
    CHECK_FALSE(saved.storage.open_output_folder("file"));
}

TEST_CASE("a file is read only while it is the one that was seen") {
    const Saved saved;
    const std::string content(3 << 20, 'x');
    put(saved.root / "a", content);
    const auto folder = saved.storage.open_output_folder("saved");
    const CheckpointFolder open(*folder);
    const FolderEntry seen = open.scan().at(0);
    bool good = false;
    CHECK((read(open, seen, good) == content && good));

    const auto change = GENERATE(as<std::string>{}, "renamed over", "shorter", "longer", "a link", "gone");
    INFO(change);
    if (change == "renamed over") {
        put(saved.root / "a.tmp", content);
        fs::rename(saved.root / "a.tmp", saved.root / "a");
    } else if (change == "shorter") {
        fs::resize_file(saved.root / "a", 10);
    } else if (change == "longer") {
        std::ofstream(saved.root / "a", std::ios::app) << "y";
    } else {
        fs::remove(saved.root / "a");
        if (change == "a link") fs::create_symlink("/etc/passwd", saved.root / "a");
    }
    read(open, seen, good);
    CHECK_FALSE(good);
    const auto later = open.scan();
    CHECK((later.empty() || later[0] != seen));
}

TEST_CASE("a file on its way to its name changes nothing") {
    const Saved saved;
    put(saved.root / "a", "content");
    const auto before = saved.open().scan();
    put(saved.root / "b.tmp", "half");
    CHECK(saved.open().scan() == before);
    fs::rename(saved.root / "b.tmp", saved.root / "b");
    CHECK(saved.open().scan() != before);
}

TEST_CASE("there is a limit to how much is looked at") {
    const Saved saved;
    SECTION("how many") {
        for (std::size_t i = 0; i <= checkpoint_entries_max; ++i)
            put(saved.root / std::to_string(i), "");
    }
    SECTION("how deep") {
        fs::path deep = saved.root;
        for (int i = 0; i <= checkpoint_depth_max + 1; ++i)
            deep /= "d";
        fs::create_directories(deep);
    }
    CHECK_THROWS_AS(saved.open().scan(), CheckpointError);
}

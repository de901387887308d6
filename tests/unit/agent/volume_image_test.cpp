// Image files of empty file systems, made by mkfs.ext4 or copied from what it has made.
#include "agent/volume_image.hpp"

#include <catch2/catch.hpp>
#include <fstream>
#include <future>
#include <vector>

#include "agent/run_program.hpp"
#include "agent/volume_key.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;
namespace fs = std::filesystem;

namespace {

constexpr std::int64_t mib = 1024 * 1024;

void check_file_system(const fs::path& image) {
    CHECK_NOTHROW(run_program({"/sbin/e2fsck", "-f", "-n", image.string()}, ""));
}

std::size_t files_in(const fs::path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), {}));
}

}  // namespace

TEST_CASE("a copied volume is a whole file system, as large and as sparse as a formatted one") {
    if (!can_format_images()) return;
    const TemporaryFolder folder;
    const bool is_encrypted = GENERATE(false, true);
    const fs::path formatted = folder.path() / "formatted";
    make_volume_image(formatted, 64 * mib, is_encrypted, {});
    for (const char* name : {"first", "second"}) {
        const fs::path image = folder.path() / name;
        make_volume_image(image, 64 * mib, is_encrypted, folder.path() / "kept");
        CHECK(fs::file_size(image) == fs::file_size(formatted));
        CHECK(fs::status(image).permissions() == (fs::perms::owner_read | fs::perms::owner_write));
        CHECK(holds_encrypted_folders(image) == is_encrypted);
        check_file_system(image);
        std::ofstream(image, std::ios::in | std::ios::binary).seekp(4096)
            << "what a guest writes is its own";
    }
    CHECK(files_in(folder.path() / "kept") == 1);
    const fs::path third = folder.path() / "third";
    make_volume_image(third, 64 * mib, is_encrypted, folder.path() / "kept");
    check_file_system(third);
}

TEST_CASE("volumes of the last few sizes are kept, and one that is there already is left alone") {
    if (!can_format_images()) return;
    const TemporaryFolder folder;
    const fs::path kept = folder.path() / "kept";
    for (int size = 8; size < 16; ++size) {
        const fs::path image = folder.path() / std::to_string(size);
        make_volume_image(image, size * mib, false, kept);
        check_file_system(image);
    }
    CHECK(files_in(kept) == 4);
    CHECK(fs::exists(kept / (std::to_string(15 * mib) + ".ext4")));
    CHECK_THROWS_AS(make_volume_image(folder.path() / "8", 8 * mib, false, kept), std::system_error);
    check_file_system(folder.path() / "8");
}

TEST_CASE("leases that begin at the same time each have a whole volume") {
    if (!can_format_images()) return;
    const TemporaryFolder folder;
    constexpr int leases = 24;
    std::vector<std::future<void>> made;
    for (int i = 0; i < leases; ++i)
        made.push_back(std::async(std::launch::async, [&, i] {
            make_volume_image(folder.path() / std::to_string(i), (8 + i % 8) * mib, false,
                              folder.path() / "kept");
        }));
    for (std::future<void>& one : made)
        CHECK_NOTHROW(one.get());
    for (int i = 0; i < leases; ++i)
        check_file_system(folder.path() / std::to_string(i));
    CHECK(files_in(folder.path() / "kept") == 4);
}

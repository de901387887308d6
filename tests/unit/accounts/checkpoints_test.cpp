#include "accounts/checkpoints.hpp"

#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace fallow::accounts {
namespace {

constexpr std::int64_t mib = 1024 * 1024;
const std::string chunk(64, 'a');

CheckpointEntry file(const std::string& path, std::int64_t bytes, std::size_t chunks) {
    return {path, EntryKind::file, 0644, bytes, Time{}, "", std::vector<std::string>(chunks, chunk)};
}
CheckpointEntry folder(const std::string& path) {
    return {path, EntryKind::folder, 0755, 0, Time{}, "", {}};
}
CheckpointEntry link(const std::string& path, const std::string& target) {
    return {path, EntryKind::link, 0, 0, Time{}, target, {}};
}

std::string outcome_of(const Status& status) {
    return status.ok() ? "ok" : std::string(name_of(status.error().code)) + " " + status.error().pointer;
}

TEST_CASE("what the entries of a checkpoint make together") {
    auto with_mode = file("a", 1, 1);
    with_mode.mode = 04755;
    auto with_bad_chunk = file("a", 1, 1);
    with_bad_chunk.chunks[0].back() = 'A';
    auto with_target = file("a", 1, 1);
    with_target.target = "b";
    auto full_folder = folder("a");
    full_folder.chunks = {chunk};
    struct Row {
        const char* what;
        std::vector<CheckpointEntry> entries;
        std::string outcome;
    };
    const std::vector<Row> rows = {
        {"nothing", {}, "ok"},
        {"an empty file", {file("a", 0, 0)}, "ok"},
        {"a file of one chunk", {file("a", mib, 1)}, "ok"},
        {"a file of one chunk and a rest", {file("a", mib + 1, 2)}, "ok"},
        {"as much as may be", {file("a", 2 * mib, 2), file("b", mib, 1)}, "ok"},
        {"a folder before what it holds", {folder("a"), file("a/b", 1, 1), link("a/c", "../x")}, "ok"},
        {"a byte too much",
         {file("a", 2 * mib, 2), file("b", mib + 1, 2)},
         "invalid_field /entries/1/bytes"},
        {"a chunk too few", {file("a", mib + 1, 1)}, "invalid_field /entries/0/chunks"},
        {"a chunk too many", {file("a", mib, 2)}, "invalid_field /entries/0/chunks"},
        {"less than nothing", {file("a", -1, 0)}, "invalid_field /entries/0/bytes"},
        {"a name that is none of a chunk", {with_bad_chunk}, "invalid_field /entries/0/chunks/0"},
        {"more than permissions", {with_mode}, "invalid_field /entries/0/mode"},
        {"a path that leaves", {file("../a", 1, 1)}, "invalid_field /entries/0/path"},
        {"an absolute path", {file("/a", 1, 1)}, "invalid_field /entries/0/path"},
        {"a path that is there already", {file("a", 1, 1), folder("a")}, "invalid_field /entries/1/path"},
        {"a folder that nobody named", {file("a/b", 1, 1)}, "invalid_field /entries/0/path"},
        {"a folder named late", {file("a/b", 1, 1), folder("a")}, "invalid_field /entries/0/path"},
        {"a path through a file", {file("a", 1, 1), file("a/b", 1, 1)}, "invalid_field /entries/1/path"},
        {"a path through a link", {link("a", "/"), file("a/b", 1, 1)}, "invalid_field /entries/1/path"},
        {"a link to nowhere", {link("a", "")}, "invalid_field /entries/0/target"},
        {"a file with a target", {with_target}, "invalid_field /entries/0/target"},
        {"a folder with content", {full_folder}, "invalid_field /entries/0/chunks"},
    };
    for (const Row& row : rows) {
        INFO(row.what);
        CHECK(outcome_of(check_entries(row.entries, 3 * mib)) == row.outcome);
    }
}

TEST_CASE("a chunk that several files have counts once, their bytes each time") {
    const std::vector<CheckpointEntry> entries = {file("a", mib, 1), file("b", mib, 1)};
    CHECK(chunks_of(entries) == std::vector<std::string>{chunk});
    CHECK(bytes_of(entries) == 2 * mib);
}

}  // namespace
}  // namespace fallow::accounts

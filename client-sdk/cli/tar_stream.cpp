#include "tar_stream.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>

namespace fallow::cli {
namespace {

struct WriteDeleter {
    void operator()(archive* one) const { archive_write_free(one); }
};
struct ReadDeleter {
    void operator()(archive* one) const { archive_read_free(one); }
};
struct EntryDeleter {
    void operator()(archive_entry* one) const { archive_entry_free(one); }
};
using Writer = std::unique_ptr<archive, WriteDeleter>;
using Reader = std::unique_ptr<archive, ReadDeleter>;
using Entry = std::unique_ptr<archive_entry, EntryDeleter>;

/// Lower than that are warnings, and what they are about did happen.
void require(archive* one, int result) {
    if (result >= ARCHIVE_WARN) return;
    const char* what = archive_error_string(one);
    throw std::runtime_error(what != nullptr ? what : "the archive is broken");
}

void copy_data(archive* from, archive* to) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    while (true) {
        const int result = archive_read_data_block(from, &block, &size, &offset);
        if (result == ARCHIVE_EOF) return;
        require(from, result);
        if (archive_write_data(to, block, size) < 0) require(to, ARCHIVE_FATAL);
    }
}

/// Sparse files come with holes, which a file on disk keeps.
void copy_data_to_disk(archive* from, archive* to) {
    const void* block = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    while (true) {
        const int result = archive_read_data_block(from, &block, &size, &offset);
        if (result == ARCHIVE_EOF) return;
        require(from, result);
        require(to, static_cast<int>(archive_write_data_block(to, block, size, offset)));
    }
}

/// `entry` with `from` at its beginning replaced by `to`; empty when it does not begin so.
std::string renamed(std::string entry, const std::string& from, const std::string& to) {
    while (entry.ends_with('/'))
        entry.pop_back();
    if (entry.starts_with("./")) entry.erase(0, 2);
    if (entry == from) return to;
    return entry.starts_with(from + "/") ? to + entry.substr(from.size()) : std::string();
}

bool is_kind_taken(archive_entry* entry) {
    const auto kind = archive_entry_filetype(entry);
    return archive_entry_hardlink(entry) == nullptr &&
           (kind == AE_IFREG || kind == AE_IFDIR || kind == AE_IFLNK);
}

}  // namespace

void write_tar(int descriptor, const std::filesystem::path& path, const std::string& as) {
    const Reader disk(archive_read_disk_new());
    archive_read_disk_set_symlink_physical(disk.get());
    require(disk.get(), archive_read_disk_open(disk.get(), path.c_str()));
    const Writer out(archive_write_new());
    require(out.get(), archive_write_set_format_pax_restricted(out.get()));
    require(out.get(), archive_write_open_fd(out.get(), descriptor));
    const Entry entry(archive_entry_new());
    while (true) {
        archive_entry_clear(entry.get());
        const int result = archive_read_next_header2(disk.get(), entry.get());
        if (result == ARCHIVE_EOF) break;
        require(disk.get(), result);
        archive_read_disk_descend(disk.get());
        const std::string name = renamed(archive_entry_pathname(entry.get()), path.string(), as);
        const auto kind = archive_entry_filetype(entry.get());
        if (name.empty() || (kind != AE_IFREG && kind != AE_IFDIR && kind != AE_IFLNK)) continue;
        archive_entry_set_pathname(entry.get(), name.c_str());
        archive_entry_set_uid(entry.get(), 0);
        archive_entry_set_gid(entry.get(), 0);
        require(out.get(), archive_write_header(out.get(), entry.get()));
        if (kind == AE_IFREG) copy_data(disk.get(), out.get());
    }
    require(out.get(), archive_write_close(out.get()));
}

void read_tar(int descriptor, const std::string& name, const std::filesystem::path& target) {
    // Entries are kept below this folder by relative names, so that links on the way to it may be links.
    const std::filesystem::path folder = std::filesystem::absolute(target).parent_path();
    if (::chdir(folder.c_str()) != 0) throw std::runtime_error("there is no folder " + folder.string());
    const std::string there = target.filename().string();
    const Reader in(archive_read_new());
    require(in.get(), archive_read_support_format_tar(in.get()));
    require(in.get(), archive_read_open_fd(in.get(), descriptor, 64 * 1024));
    const Writer disk(archive_write_disk_new());
    require(disk.get(),
            archive_write_disk_set_options(
                disk.get(), ARCHIVE_EXTRACT_SECURE_SYMLINKS | ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS | ARCHIVE_EXTRACT_UNLINK));
    bool has_any = false;
    archive_entry* entry = nullptr;
    while (true) {
        const int result = archive_read_next_header(in.get(), &entry);
        if (result == ARCHIVE_EOF) break;
        require(in.get(), result);
        const std::string placed = renamed(archive_entry_pathname(entry), name, there);
        if (placed.empty()) throw std::runtime_error("the job sends something else than " + name);
        if (!is_kind_taken(entry)) continue;
        archive_entry_set_pathname(entry, placed.c_str());
        archive_entry_set_perm(entry, archive_entry_perm(entry) & 0777);
        require(disk.get(), archive_write_header(disk.get(), entry));
        if (archive_entry_filetype(entry) == AE_IFREG) copy_data_to_disk(in.get(), disk.get());
        require(disk.get(), archive_write_finish_entry(disk.get()));
        has_any = true;
    }
    if (!has_any) throw std::runtime_error("nothing came of " + name);
}

}  // namespace fallow::cli

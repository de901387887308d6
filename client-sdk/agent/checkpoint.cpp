#include "agent/checkpoint.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <system_error>

#include "agent/clock.hpp"
#include "agent/crypto.hpp"
#include "agent/state.hpp"
#include "agent/transfer.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

/// How often a folder that changes meanwhile is tried, and how long each time is waited.
constexpr int tries_max = 30;
constexpr std::int64_t try_again_after_ms = 100;
/// The kernel's file times move in steps of up to 10 ms: within one a second change would not show.
constexpr std::int64_t settled_ns = 30'000'000;

std::string sha256_of(const std::string& octets) {
    Sha256 hash;
    hash.update(octets);
    return hash.finish_hex();
}

/// False while a change may be too young to be told from a later one.
bool has_settled(const std::vector<FolderEntry>& entries, std::int64_t now_ms) {
    return std::none_of(entries.begin(), entries.end(), [&](const FolderEntry& entry) {
        const std::int64_t age_ns = now_ms * 1'000'000 - entry.changed_ns;
        return age_ns >= 0 && age_ns < settled_ns;
    });
}

CheckpointEntry entry_of(const FolderEntry& scanned) {
    CheckpointEntry entry;
    entry.path = scanned.path;
    entry.kind = scanned.kind;
    entry.mode = scanned.mode;
    entry.bytes = scanned.bytes;
    entry.modified_unix_ms = std::max<std::int64_t>(0, scanned.modified_ms);
    entry.target = scanned.target;
    return entry;
}

std::vector<std::string> chunks_of(const std::vector<CheckpointEntry>& entries) {
    std::set<std::string> chunks;
    for (const CheckpointEntry& entry : entries)
        chunks.insert(entry.chunks.begin(), entry.chunks.end());
    return {chunks.begin(), chunks.end()};
}

}  // namespace

CheckpointSaver::CheckpointSaver(std::string lease_id, std::int64_t lease_epoch, CheckpointSpec spec,
                                 const WorkingStorage& storage)
    : lease_id_(std::move(lease_id)),
      lease_epoch_(lease_epoch),
      spec_(std::move(spec)),
      storage_(storage) {}

void CheckpointSaver::forget() {
    is_saved_ = false;
    scanned_.clear();
    files_.clear();
    at_server_.clear();
}

void CheckpointSaver::keep_chunk(const std::string& sha256, const std::string& octets) const {
    std::ofstream file(storage_.spool() / sha256, std::ios::binary | std::ios::trunc);
    file.write(octets.data(), static_cast<std::streamsize>(octets.size()));
    file.close();
    if (!file)
        throw std::system_error(errno, std::generic_category(), "cannot copy the checkpoint on the host");
}

bool CheckpointSaver::read_file(const CheckpointFolder& folder, const FolderEntry& scanned,
                                CheckpointEntry& entry, std::stop_token stop) {
    const auto known = files_.find(scanned.path);
    if (known != files_.end() && known->second.first == scanned) {
        entry.chunks = known->second.second;
        return true;
    }
    return folder.read(scanned, [&](const std::string& octets) {
        if (stop.stop_requested()) return;
        entry.chunks.push_back(sha256_of(octets));
        const std::string& name = entry.chunks.back();
        if (!at_server_.contains(name) && !fs::exists(storage_.spool() / name)) keep_chunk(name, octets);
    });
}

std::optional<CheckpointSaver::Snapshot> CheckpointSaver::take(const CheckpointFolder& folder,
                                                               bool is_still, std::stop_token stop) {
    Snapshot snapshot{folder.scan(), {}};
    if (!is_still && !has_settled(snapshot.scanned, wall_clock_ms())) return std::nullopt;
    std::int64_t bytes = 0;
    for (const FolderEntry& entry : snapshot.scanned)
        bytes += entry.bytes;
    if (bytes > spec_.bytes_max)
        throw CheckpointError("the folder holds " + std::to_string(bytes) +
                              " bytes, and the job's bytes_max is " + std::to_string(spec_.bytes_max));
    if (is_saved_ && snapshot.scanned == scanned_) return snapshot;
    storage_.clear_spool();
    for (const FolderEntry& scanned : snapshot.scanned) {
        snapshot.entries.push_back(entry_of(scanned));
        if (scanned.kind != EntryKind::file) continue;
        if (!read_file(folder, scanned, snapshot.entries.back(), stop)) return std::nullopt;
        if (stop.stop_requested()) return std::nullopt;
    }
    if (folder.scan() != snapshot.scanned) return std::nullopt;
    return snapshot;
}

std::optional<CheckpointSaver::Snapshot> CheckpointSaver::take_patiently(bool is_still,
                                                                         std::stop_token stop) {
    for (int tries = 0; tries < tries_max; ++tries) {
        if (tries > 0) pause_for(try_again_after_ms, stop);
        if (stop.stop_requested()) return std::nullopt;
        const std::optional<int> fd = storage_.open_output_folder(spec_.path);
        if (!fd) throw CheckpointError("the folder is not there, or is no folder of the job's own");
        const CheckpointFolder folder(*fd);
        if (auto snapshot = take(folder, is_still, stop)) return snapshot;
    }
    throw CheckpointError(
        "the folder changed each time it was read; write to a name that ends in .tmp, and rename it when "
        "it "
        "is whole");
}

void CheckpointSaver::send(ServerLink& server, const Snapshot& snapshot, std::stop_token stop) {
    for (const std::string& name :
         server.begin_checkpoint(lease_id_, lease_epoch_, chunks_of(snapshot.entries))) {
        if (stop.stop_requested()) return;
        const fs::path copy = storage_.spool() / name;
        if (!fs::exists(copy)) {
            forget();  // the server has lost what it had: all is read anew next time
            throw std::runtime_error("a chunk of the checkpoint is at the server no more");
        }
        server.put_checkpoint_chunk(lease_id_, name, agent::read_file(copy), stop);
    }
}

std::optional<std::int64_t> CheckpointSaver::save(ServerLink& server, bool is_still, std::stop_token stop) {
    const auto snapshot = take_patiently(is_still, stop);
    if (!snapshot || (is_saved_ && snapshot->scanned == scanned_)) return std::nullopt;
    send(server, *snapshot, stop);
    if (stop.stop_requested()) return std::nullopt;
    const std::int64_t number = server.commit_checkpoint(lease_id_, lease_epoch_, snapshot->entries);
    forget();
    is_saved_ = true;
    scanned_ = snapshot->scanned;
    for (std::size_t i = 0; i < scanned_.size(); ++i) {
        const CheckpointEntry& entry = snapshot->entries[i];
        if (entry.kind == EntryKind::file) files_[entry.path] = {scanned_[i], entry.chunks};
        at_server_.insert(entry.chunks.begin(), entry.chunks.end());
    }
    storage_.clear_spool();
    return number;
}

namespace {

void write_chunks(ServerLink& server, const std::string& lease_id, const CheckpointEntry& entry,
                  const fs::path& target, TransferCount& count, std::stop_token stop) {
    std::ofstream file(target, std::ios::binary | std::ios::trunc);
    std::int64_t written = 0;
    for (const std::string& chunk : entry.chunks) {
        const std::string octets =
            go_on_when_broken([&] { return server.checkpoint_chunk(lease_id, chunk, stop); }, stop);
        if (sha256_of(octets) != chunk)
            throw std::runtime_error("a chunk of the checkpoint has not its SHA-256");
        file.write(octets.data(), static_cast<std::streamsize>(octets.size()));
        written += static_cast<std::int64_t>(octets.size());
        count.add(static_cast<std::int64_t>(octets.size()));
    }
    file.close();
    if (!file) throw std::runtime_error("the checkpoint's " + entry.path + " cannot be written");
    if (written != entry.bytes)
        throw std::runtime_error("the checkpoint's " + entry.path + " has not its size");
}

/// Of all its files; throws when it has an entry that it may not have.
std::int64_t checked_bytes(const StoredCheckpoint& stored, const CheckpointSpec& spec) {
    std::int64_t bytes = 0;
    for (const CheckpointEntry& entry : stored.entries) {
        bytes += entry.bytes;
        if (!is_safe_path(entry.path) || entry.bytes < 0 || bytes > spec.bytes_max)
            throw std::runtime_error("the checkpoint's entry is not allowed: " + entry.path);
    }
    return bytes;
}

void set_modified(const fs::path& target, std::int64_t unix_ms) {
    const timespec time{static_cast<time_t>(unix_ms / 1000), static_cast<long>(unix_ms % 1000) * 1'000'000};
    const timespec times[2] = {time, time};
    static_cast<void>(::utimensat(AT_FDCWD, target.c_str(), times, AT_SYMLINK_NOFOLLOW));
}

void set_mode(const fs::path& target, std::int32_t mode) {
    if (::chmod(target.c_str(), static_cast<mode_t>(mode)) != 0)
        throw std::system_error(errno, std::generic_category(), target.string());
}

void restore(ServerLink& server, const std::string& lease_id, const CheckpointEntry& entry,
             const fs::path& target, TransferCount& count, std::stop_token stop) {
    if (entry.kind == EntryKind::folder) {
        fs::create_directory(target);
        return set_mode(target, 0777);
    }
    write_chunks(server, lease_id, entry, target, count, stop);
    set_mode(target, (entry.mode & 0777) | 0666);
    set_modified(target, entry.modified_unix_ms);
}

}  // namespace

std::optional<std::int64_t> restore_checkpoint(ServerLink& server, const std::string& lease_id,
                                               const CheckpointSpec& spec, const WorkingStorage& storage,
                                               const OnProgress& on_progress, std::stop_token stop) {
    const auto stored = server.newest_checkpoint(lease_id);
    if (!stored) return std::nullopt;
    const fs::path root = storage.outputs() / spec.path;
    TransferCount count(TransferStep::restoring_checkpoint, checked_bytes(*stored, spec), on_progress);
    // Links come last, so that nothing is written through one.
    for (const CheckpointEntry& entry : stored->entries)
        if (entry.kind != EntryKind::link) restore(server, lease_id, entry, root / entry.path, count, stop);
    for (const CheckpointEntry& entry : stored->entries)
        if (entry.kind == EntryKind::link) fs::create_symlink(entry.target, root / entry.path);
    return stored->number;
}

}  // namespace fallow::agent

#include "agent/state.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "agent/lease_json.hpp"
#include "guard/descriptor.hpp"
#include "guard/protocol.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

[[noreturn]] void fail(const std::string& what, const fs::path& path) {
    throw std::system_error(errno, std::generic_category(), what + " " + path.string());
}

using guard::Descriptor;

constexpr std::string_view told_word = "told";

void sync_folder(const fs::path& folder) {
    const Descriptor fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0 || ::fsync(fd.get()) != 0) fail("cannot sync", folder);
}

}  // namespace

std::string read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        errno = errno == 0 ? ENOENT : errno;
        fail("cannot read", path);
    }
    return std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

void write_file_atomically(const fs::path& path, std::string_view content, bool secret, bool synced) {
    const fs::path fresh = path.string() + ".new";
    ::unlink(fresh.c_str());  // one left by a killed writer may have wider permissions
    {
        const int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
        const Descriptor fd(::open(fresh.c_str(), flags, secret ? 0600 : 0644));
        if (fd.get() < 0) fail("cannot write", fresh);
        std::size_t done = 0;
        while (done < content.size()) {
            const ssize_t n = ::write(fd.get(), content.data() + done, content.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) fail("cannot write", fresh);
            done += static_cast<std::size_t>(n);
        }
        if (synced && ::fsync(fd.get()) != 0) fail("cannot sync", fresh);
    }
    if (::rename(fresh.c_str(), path.c_str()) != 0) fail("cannot replace", path);
    if (synced) sync_folder(path.parent_path());
}

StateFolder::StateFolder(fs::path root) : root_(fs::absolute(root)) {
    fs::create_directories(root_ / "leases");
    fs::permissions(root_, fs::perms::owner_all);
}

StateFolder::~StateFolder() {
    if (lock_fd_ >= 0) ::close(lock_fd_);
}

void StateFolder::lock() {
    const fs::path path = root_ / "lock";
    lock_fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_fd_ < 0) fail("cannot open", path);
    if (::flock(lock_fd_, LOCK_EX | LOCK_NB) != 0)
        throw std::runtime_error("another agent is running with the state folder " + root_.string());
}

bool StateFolder::is_enrolled() const {
    return fs::exists(root_ / "identity.json");
}

Identity StateFolder::identity() const {
    const json object = json::parse(read_file(root_ / "identity.json"));
    return {.url = object.at("url").get<std::string>(),
            .host_id = object.at("host_id").get<std::string>(),
            .server_key = object.at("server_key").get<std::string>(),
            .market = object.at("market").get<std::string>(),
            .heartbeat_interval_ms = object.at("heartbeat_interval_ms").get<std::int64_t>()};
}

void StateFolder::save_identity(const Identity& identity) const {
    const json object = {{"url", identity.url},
                         {"host_id", identity.host_id},
                         {"server_key", identity.server_key},
                         {"market", identity.market},
                         {"heartbeat_interval_ms", identity.heartbeat_interval_ms}};
    write_file_atomically(root_ / "identity.json", object.dump(1));
}

fs::path StateFolder::lease_folder(const std::string& lease_id) const {
    if (!is_lease_id(lease_id)) throw std::runtime_error("not a lease id: " + lease_id);
    return root_ / "leases" / lease_id;
}

std::int64_t StateFolder::highest_epoch() const {
    const fs::path path = root_ / "epoch";
    return fs::exists(path) ? std::stoll(read_file(path)) : 0;
}

void StateFolder::save_highest_epoch(std::int64_t epoch) const {
    write_file_atomically(root_ / "epoch", std::to_string(epoch) + "\n");
}

std::optional<StateFolder::Acknowledged> StateFolder::acknowledged_heartbeat(
    const std::string& boot_id) const {
    std::ifstream file(root_ / guard::heartbeat_file);
    std::string boot;
    Acknowledged last;
    if (!(file >> boot >> last.boot_ms >> last.server_offset_ms) || boot != boot_id) return std::nullopt;
    return last;
}

/// Not synced: it means nothing to another boot of the host.
void StateFolder::save_acknowledged_heartbeat(const std::string& boot_id, const Acknowledged& last) const {
    const std::string text =
        boot_id + " " + std::to_string(last.boot_ms) + " " + std::to_string(last.server_offset_ms) + "\n";
    write_file_atomically(root_ / guard::heartbeat_file, text, false, false);
}

std::vector<LeaseRecord> StateFolder::load_records(std::vector<std::string>& unreadable) const {
    std::vector<LeaseRecord> records;
    for (const fs::directory_entry& entry : fs::directory_iterator(root_ / "leases")) {
        const std::string lease_id = entry.path().filename().string();
        const fs::path path = entry.path() / "record.json";
        if (!is_lease_id(lease_id) || !fs::exists(path)) continue;
        try {
            LeaseRecord record = parse_record(read_file(path));
            if (record.desired.lease_id != lease_id) throw std::runtime_error("it names another lease");
            records.push_back(std::move(record));
        } catch (const std::exception&) {
            unreadable.push_back(path.string());
        }
    }
    return records;
}

bool StateFolder::has_record(const std::string& lease_id) const {
    return fs::exists(lease_folder(lease_id) / "record.json");
}

void StateFolder::save_record(const LeaseRecord& record, bool synced) const {
    const fs::path folder = lease_folder(record.desired.lease_id);
    fs::create_directories(folder);
    write_file_atomically(folder / "record.json", encode_record(record), true, synced);
}

LogPosition StateFolder::log_position(const std::string& lease_id) const {
    std::ifstream file(lease_folder(lease_id) / "log");
    LogPosition position;
    if (!(file >> position.next_sequence >> position.consumed_bytes)) return {};
    for (std::int64_t bytes = 0; file >> bytes;)
        position.pending.push_back(bytes);
    file.clear();
    std::string word;
    std::int64_t told = 0;
    std::int64_t telling = 0;
    if (file >> word >> told >> telling && word == told_word) {
        position.told_percent = told;
        position.telling_percent = telling;
    }
    return position;
}

void StateFolder::save_log_position(const std::string& lease_id, const LogPosition& position) const {
    const fs::path folder = lease_folder(lease_id);
    fs::create_directories(folder);
    std::string text =
        std::to_string(position.next_sequence) + " " + std::to_string(position.consumed_bytes);
    for (const std::int64_t bytes : position.pending)
        text += " " + std::to_string(bytes);
    if (position.told_percent != 0 || position.telling_percent != 0)
        text += " " + std::string(told_word) + " " + std::to_string(position.told_percent) + " " +
                std::to_string(position.telling_percent);
    write_file_atomically(folder / "log", text + "\n");
}

void StateFolder::forget(const std::string& lease_id) const {
    fs::remove_all(lease_folder(lease_id));
}

bool is_lease_id(std::string_view text) {
    constexpr std::string_view prefix = "lease_";
    if (text.size() != prefix.size() + 26 || !text.starts_with(prefix)) return false;
    const std::string_view digits = text.substr(prefix.size());
    return std::all_of(digits.begin(), digits.end(),
                       [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); });
}

}  // namespace fallow::agent

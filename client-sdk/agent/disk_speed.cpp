#include "agent/disk_speed.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <memory>
#include <new>
#include <nlohmann/json.hpp>
#include <random>
#include <stdexcept>
#include <system_error>

#include "agent/clock.hpp"
#include "agent/state.hpp"

namespace fallow::agent {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t block_bytes = 4LL << 20;
constexpr std::size_t block_alignment = 4096;  // what O_DIRECT wants of every common device
constexpr std::int64_t free_factor = 4;
constexpr std::int64_t every_ms = 24LL * 3600 * 1000;
constexpr std::chrono::seconds longest{10};

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::generic_category(), what);
}

/// Where the file system has no files without a name, one that loses its name at once.
int open_nameless(const std::filesystem::path& folder) {
    int descriptor = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor >= 0 || (errno != EOPNOTSUPP && errno != EISDIR)) return descriptor;
    const std::filesystem::path file = folder / ".disk-measurement";
    ::unlink(file.c_str());
    descriptor = ::open(file.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (descriptor >= 0) ::unlink(file.c_str());
    return descriptor;
}

/// A file that is gone with its last descriptor, whatever becomes of the agent.
class Scratch {
  public:
    explicit Scratch(const std::filesystem::path& folder) : descriptor_(open_nameless(folder)) {
        if (descriptor_ < 0) fail("a file to measure the disk with cannot be made");
        const int flags = ::fcntl(descriptor_, F_GETFL);
        is_direct_ = ::fcntl(descriptor_, F_SETFL, flags | O_DIRECT) == 0;
    }
    ~Scratch() { ::close(descriptor_); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    void write(const char* block, std::int64_t at) {
        if (::pwrite(descriptor_, block, block_bytes, at) == block_bytes) return;
        // Some file systems take the flag and refuse the write.
        if (errno != EINVAL || !is_direct_) fail("the disk does not take what is written to it");
        is_direct_ = false;
        if (::fcntl(descriptor_, F_SETFL, ::fcntl(descriptor_, F_GETFL) & ~O_DIRECT) != 0) fail("fcntl");
        write(block, at);
    }
    void read(char* block, std::int64_t at) {
        if (::pread(descriptor_, block, block_bytes, at) != block_bytes)
            fail("what was written to the disk cannot be read");
    }
    /// On the device; and out of the page cache, so that reading means the device, too.
    void settle() {
        if (::fdatasync(descriptor_) != 0) fail("what was written is not on the disk");
        ::posix_fadvise(descriptor_, 0, 0, POSIX_FADV_DONTNEED);
    }

  private:
    int descriptor_;
    bool is_direct_ = false;
};

struct Freed {
    void operator()(char* block) const { ::operator delete(block, std::align_val_t(block_alignment)); }
};
using Block = std::unique_ptr<char, Freed>;

/// Of numbers that no device can make smaller.
Block random_block() {
    Block block(static_cast<char*>(::operator new(block_bytes, std::align_val_t(block_alignment))));
    std::mt19937_64 generator(std::random_device{}());
    for (std::int64_t at = 0; at < block_bytes; at += 8) {
        const std::uint64_t word = generator();
        std::memcpy(block.get() + at, &word, sizeof word);
    }
    return block;
}

/// How many bytes `move` was called for, block by block, until `bytes`, `stop` or the longest time.
template <class Move>
std::int64_t move_blocks(std::int64_t bytes, const std::stop_token& stop, const Move& move) {
    const auto start = Clock::now();
    std::int64_t at = 0;
    while (at < bytes && !stop.stop_requested() && Clock::now() - start < longest) {
        move(at);
        at += block_bytes;
    }
    return at;
}

std::int64_t rate(std::int64_t bytes, Clock::duration took) {
    const auto us =
        std::max<std::int64_t>(1, std::chrono::duration_cast<std::chrono::microseconds>(took).count());
    return static_cast<std::int64_t>(static_cast<double>(bytes) * 1e6 / static_cast<double>(us));
}

void check_room(const std::filesystem::path& folder, std::int64_t bytes) {
    struct statvfs system {};
    if (::statvfs(folder.c_str(), &system) != 0) fail("the disk does not tell its size");
    const auto free =
        static_cast<std::int64_t>(system.f_bavail) * static_cast<std::int64_t>(system.f_frsize);
    if (free < bytes * free_factor)
        throw std::runtime_error("too little is free on the disk to measure it without being in the way");
}

}  // namespace

std::optional<DiskSpeed> measure_disk(const std::filesystem::path& folder, std::int64_t bytes,
                                      std::stop_token stop) {
    check_room(folder, bytes);
    Scratch scratch(folder);
    const Block block = random_block();
    DiskSpeed speed;
    auto start = Clock::now();
    const std::int64_t written = move_blocks(bytes, stop, [&](std::int64_t at) {
        std::memcpy(block.get(), &at, sizeof at);  // no two blocks are alike
        scratch.write(block.get(), at);
    });
    if (stop.stop_requested()) return std::nullopt;
    scratch.settle();
    speed.write_bytes_per_s = rate(written, Clock::now() - start);
    start = Clock::now();
    const std::int64_t read =
        move_blocks(written, stop, [&](std::int64_t at) { scratch.read(block.get(), at); });
    if (stop.stop_requested()) return std::nullopt;
    speed.read_bytes_per_s = rate(read, Clock::now() - start);
    speed.measured_unix_ms = wall_clock_ms();
    return speed;
}

DiskKeeper::DiskKeeper(std::filesystem::path folder, std::int64_t bytes)
    : folder_(std::move(folder)), bytes_(bytes) {}

std::optional<DiskSpeed> DiskKeeper::kept() const {
    const std::filesystem::path file = folder_ / "disk.json";
    try {
        if (!std::filesystem::exists(file)) return std::nullopt;
        const auto object = nlohmann::json::parse(read_file(file));
        return DiskSpeed{object.at("write_bytes_per_s").get<std::int64_t>(),
                         object.at("read_bytes_per_s").get<std::int64_t>(),
                         object.at("measured_unix_ms").get<std::int64_t>()};
    } catch (const std::exception& error) {
        spdlog::warn("the disk is measured anew: {}", error.what());
        return std::nullopt;
    }
}

bool DiskKeeper::is_due() const {
    const auto last = kept();
    const std::int64_t now = wall_clock_ms();
    return !last || last->measured_unix_ms > now || now - last->measured_unix_ms >= every_ms;
}

std::stop_token DiskKeeper::begin() {
    const std::lock_guard lock(mutex_);
    stop_measuring_ = std::stop_source();
    return stop_measuring_.get_token();
}

bool DiskKeeper::measure(std::stop_token measuring, std::stop_token stop) {
    std::stop_source either;
    const std::stop_callback on_lease(measuring, [&] { either.request_stop(); });
    const std::stop_callback on_stop(stop, [&] { either.request_stop(); });
    try {
        const auto speed = measure_disk(folder_, bytes_, either.get_token());
        if (!speed) return false;
        const nlohmann::json object{{"write_bytes_per_s", speed->write_bytes_per_s},
                                    {"read_bytes_per_s", speed->read_bytes_per_s},
                                    {"measured_unix_ms", speed->measured_unix_ms}};
        write_file_atomically(folder_ / "disk.json", object.dump());
        return true;
    } catch (const std::exception& error) {
        spdlog::warn("the disk was not measured: {}", error.what());
        return false;
    }
}

void DiskKeeper::yield() {
    const std::lock_guard lock(mutex_);
    stop_measuring_.request_stop();
}

}  // namespace fallow::agent

#include "agent/output_saver.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <stdexcept>

#include "agent/clock.hpp"
#include "agent/crypto.hpp"
#include "agent/transfer.hpp"

namespace fallow::agent {
namespace {

/// The kernel's file times move in steps of up to 10 ms: within one a second change would not show.
constexpr std::int64_t settled_ns = 30'000'000;

std::string sha256_of(const std::string& octets) {
    Sha256 hash;
    hash.update(octets);
    return hash.finish_hex();
}

/// Whether a change could still hide behind the time of the one before.
bool is_settled(const OpenOutput::Stamp& stamp) {
    const std::int64_t age_ns = wall_clock_ms() * 1'000'000 - stamp.changed_ns;
    return age_ns < 0 || age_ns >= settled_ns;
}

}  // namespace

OpenOutput::OpenOutput(int fd) : fd_(fd), opened_(now()) {}

OpenOutput::OpenOutput(OpenOutput&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), opened_(other.opened_) {}

OpenOutput& OpenOutput::operator=(OpenOutput&& other) noexcept {
    std::swap(fd_, other.fd_);
    opened_ = other.opened_;
    return *this;
}

OpenOutput::~OpenOutput() {
    if (fd_ >= 0) ::close(fd_);
}

OpenOutput::Stamp OpenOutput::now() const {
    struct stat facts {};
    if (::fstat(fd_, &facts) != 0) return {};
    return {facts.st_ino, facts.st_size, facts.st_ctim.tv_sec * 1'000'000'000 + facts.st_ctim.tv_nsec};
}

std::optional<std::string> OpenOutput::read_chunk(std::size_t number) const {
    const auto start = static_cast<std::int64_t>(number) * part_bytes;
    const std::int64_t bytes = part_size(opened_.bytes, static_cast<std::int64_t>(number));
    std::string octets(static_cast<std::size_t>(bytes), '\0');
    std::size_t done = 0;
    while (done < octets.size()) {
        const ssize_t n = ::pread(fd_, octets.data() + done, octets.size() - done,
                                  static_cast<off_t>(start + static_cast<std::int64_t>(done)));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return std::nullopt;
        done += static_cast<std::size_t>(n);
    }
    return octets;
}

OutputSaver::OutputSaver(std::string lease_id, std::int64_t lease_epoch, const WorkingStorage& storage)
    : lease_id_(std::move(lease_id)), lease_epoch_(lease_epoch), storage_(storage) {}

std::optional<OutputFile> OutputSaver::read(const std::string& path, const OpenOutput& source,
                                            std::stop_token stop) const {
    OutputFile file{path, source.opened().bytes, {}, {}};
    Sha256 whole;
    for (std::size_t number = 0; static_cast<std::int64_t>(number) * part_bytes < file.bytes; ++number) {
        if (stop.stop_requested()) throw std::runtime_error("saving the outputs was interrupted");
        const auto octets = source.read_chunk(number);
        if (!octets) return std::nullopt;
        whole.update(*octets);
        file.chunks.push_back(sha256_of(*octets));
    }
    file.sha256 = whole.finish_hex();
    return file;
}

void OutputSaver::keep_earlier(const std::string& path, const std::string& why,
                               std::vector<Candidate>& candidates, SavedOutputs& saved) const {
    saved.left_out.push_back(path + " " + why);
    const auto known = saved_.find(path);
    if (known != saved_.end()) candidates.push_back({known->second.second, std::nullopt});
}

void OutputSaver::gather(const std::string& path, bool is_still, std::vector<Candidate>& candidates,
                         SavedOutputs& saved, std::stop_token stop) {
    const std::optional<int> fd = storage_.open_output(path);
    if (!fd) return keep_earlier(path, "is not there, or not a regular file", candidates, saved);
    OpenOutput source(*fd);
    if (source.opened().bytes > artifact_bytes_max)
        return keep_earlier(path, "is larger than an artifact may be", candidates, saved);
    const auto known = saved_.find(path);
    if (known != saved_.end() && known->second.first == source.opened())
        return candidates.push_back({known->second.second, std::move(source)});
    auto file = read(path, source, stop);
    const bool is_whole = file && source.now() == source.opened() && (is_still || is_settled(source.now()));
    if (!is_whole) return keep_earlier(path, "changed while it was read", candidates, saved);
    candidates.push_back({*std::move(file), std::move(source)});
}

std::int64_t OutputSaver::bytes_of(const std::set<std::string>& chunks,
                                   const std::vector<Candidate>& candidates) {
    std::set<std::string> left = chunks;
    std::int64_t bytes = 0;
    for (const Candidate& candidate : candidates)
        for (std::size_t number = 0; number < candidate.file.chunks.size(); ++number)
            if (left.erase(candidate.file.chunks[number]) > 0)
                bytes += part_size(candidate.file.bytes, static_cast<std::int64_t>(number));
    return bytes;
}

/// False when a file is not any more what was read of it, and was taken out.
bool OutputSaver::send(ServerLink& server, const std::vector<std::string>& missing,
                       std::vector<Candidate>& candidates, SavedOutputs& saved,
                       const OnProgress& on_progress, std::stop_token stop) {
    std::set<std::string> left(missing.begin(), missing.end());
    TransferCount count(TransferStep::uploading_outputs, bytes_of(left, candidates), on_progress);
    for (auto at = candidates.begin(); at != candidates.end(); ++at) {
        for (std::size_t number = 0; number < at->file.chunks.size(); ++number) {
            const std::string& name = at->file.chunks[number];
            if (!left.contains(name)) continue;
            if (stop.stop_requested()) throw std::runtime_error("saving the outputs was interrupted");
            auto octets = at->source ? at->source->read_chunk(number) : std::nullopt;
            if (!octets || sha256_of(*octets) != name) {
                saved.left_out.push_back(at->file.path + " changed while it was sent");
                saved_.erase(at->file.path);
                candidates.erase(at);
                return false;
            }
            const auto bytes = static_cast<std::int64_t>(octets->size());
            server.put_output_chunk(lease_id_, name, *std::move(octets), stop);
            left.erase(name);
            count.add(bytes);
        }
    }
    return true;
}

SavedOutputs OutputSaver::save(ServerLink& server, const std::vector<std::string>& paths, bool is_still,
                               const OnProgress& on_progress, std::stop_token stop) {
    SavedOutputs saved;
    std::vector<Candidate> candidates;
    const std::int64_t sequence = boot_clock_ms();
    for (const std::string& path : paths)
        gather(path, is_still, candidates, saved, stop);
    std::vector<OutputFile> files;
    for (bool is_sent = false; !is_sent;) {
        files.clear();
        for (const Candidate& candidate : candidates)
            files.push_back(candidate.file);
        if (files.empty()) return saved;
        is_sent = send(server, server.begin_outputs(lease_id_, lease_epoch_, files), candidates, saved,
                       on_progress, stop);
    }
    if (stop.stop_requested()) throw std::runtime_error("saving the outputs was interrupted");
    server.commit_outputs(lease_id_, lease_epoch_, sequence, files);
    for (const Candidate& candidate : candidates)
        if (candidate.source) saved_[candidate.file.path] = {candidate.source->opened(), candidate.file};
    return saved;
}

}  // namespace fallow::agent

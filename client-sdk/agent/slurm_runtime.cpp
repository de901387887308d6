#include "agent/slurm_runtime.hpp"

#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>
#include <utility>

#include "agent/clock.hpp"
#include "agent/slurm_step.hpp"
#include "agent/state.hpp"
#include "agent/watched_process.hpp"
#include "guard/descriptor.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t look_every_ms = 100;
constexpr std::int64_t jobs_age_ms = 2000;
constexpr std::int64_t start_within_ms = 30'000;
/// Beside the time that a command in the guest has: a shared file system shows changes late.
constexpr std::int64_t answer_within_ms = 30'000;
/// Slurm's own KillWait is 30 s unless it is configured.
constexpr std::int64_t end_within_ms = 60'000;
constexpr std::int64_t mib = 1024 * 1024;
constexpr std::int64_t exit_code_of_kill = 137;
/// For the image, and for the end of the guest; the lease has its own deadlines.
constexpr std::int64_t minutes_beside = 40;
constexpr std::int64_t minutes_max = 366LL * 24 * 60;
constexpr WatchLimits sweep_limits = {.silence_ms = 60'000, .total_ms = 60'000};

std::string unprepared_id(const std::string& job) {
    return "slurm-" + job;
}

bool has_ended(const std::optional<SlurmStatus>& status) {
    return status && (status->phase == SlurmPhase::exited || status->phase == SlurmPhase::failed);
}

const SlurmJob* find_job(const std::vector<SlurmJob>& jobs, const std::string& id) {
    const auto found = std::ranges::find(jobs, id, &SlurmJob::id);
    return found == jobs.end() ? nullptr : &*found;
}

bool is_active(const std::vector<SlurmJob>& jobs, const std::string& id) {
    const SlurmJob* const job = find_job(jobs, id);
    return job != nullptr && job->is_active();
}

/// A word of a shell script.
std::string quoted(const std::string& text) {
    std::string all = "'";
    for (const char c : text)
        all += c == '\'' ? std::string("'\\''") : std::string(1, c);
    return all + "'";
}

}  // namespace

std::vector<SlurmRuntime::Found> SlurmRuntime::meetings() const {
    std::vector<Found> all;
    if (!fs::exists(cluster_.leases_folder())) return all;
    for (const fs::directory_entry& entry : fs::directory_iterator(cluster_.leases_folder())) {
        Found found{meeting_of(entry.path()), entry.path().filename().string(), {}, std::nullopt, {}};
        try {
            found.job = read_job(found.meeting);
            if (found.job.empty()) continue;
            found.status = read_status(found.meeting);
            found.errand = parse_errand(read_file(found.meeting.errand()));
        } catch (const std::exception&) {
            if (!fs::exists(found.meeting.job())) continue;  // removed meanwhile
            throw;
        }
        all.push_back(std::move(found));
    }
    return all;
}

std::optional<SlurmRuntime::Found> SlurmRuntime::find(const std::string& id) const {
    for (Found& found : meetings())
        if (unprepared_id(found.job) == id || (found.status && found.status->container_id == id))
            return std::move(found);
    return std::nullopt;
}

/// `jobs` are older than the status: a job that has ended meanwhile has left its status before.
ContainerState SlurmRuntime::state_of(const Found& found, const std::vector<SlurmJob>& jobs) const {
    if (has_ended(found.status) || !is_active(jobs, found.job)) return ContainerState::exited;
    const bool runs = found.status && found.status->phase == SlurmPhase::running;
    return runs ? ContainerState::running : ContainerState::created;
}

std::vector<ContainerSeen> SlurmRuntime::list() {
    const std::vector<SlurmJob> jobs = cluster_.jobs(jobs_age_ms);
    const SlurmSelf self = cluster_.self();
    std::vector<ContainerSeen> seen;
    const std::vector<Found> all = meetings();
    for (const Found& found : all) {
        const bool is_prepared = found.status && !found.status->container_id.empty();
        seen.push_back({.id = is_prepared ? found.status->container_id : unprepared_id(found.job),
                        .lease_id = found.lease_id,
                        .lease_epoch = found.errand.lease.lease_epoch,
                        .state = state_of(found, jobs)});
    }
    for (const SlurmJob& job : jobs) {
        const auto mark = parse_mark(job.comment);
        const bool is_ours = mark && mark->host_id == self.host_id && job.uid == self.uid;
        if (!is_ours || mark->lease_id.empty() || !job.is_active()) continue;
        if (std::ranges::find(all, job.id, &Found::job) != all.end()) continue;
        seen.push_back({unprepared_id(job.id), mark->lease_id, mark->lease_epoch, ContainerState::running});
    }
    return seen;
}

SlurmOrder SlurmRuntime::order_for(const DesiredLease& lease, const SlurmMeeting& meeting) const {
    const std::vector<SlurmPlace> places = cards_.places_of_lease(lease.cards);
    const bool is_one_node = std::ranges::all_of(places, [&](const SlurmPlace& place) {
        return place.node == places.front().node && place.model == places.front().model;
    });
    if (!is_one_node)
        throw RuntimeError(
            "the cards of this lease are on different nodes or of different models, and a guest runs on "
            "one "
            "node: list each node's cards of a model by themselves");
    const JobSpec& spec = *lease.spec;
    const std::int64_t now = boot_clock_ms();
    std::int64_t ms = lease.run_until_boot_ms ? *lease.run_until_boot_ms - now : minutes_max * 60'000;
    if (lease.max_duration_ms) ms = std::min(ms, *lease.max_duration_ms);
    return {.mark = {cluster_.options().host_id, lease.lease_id, lease.lease_epoch},
            .node = places.front().node,
            .gres = {places.front().model, static_cast<std::int64_t>(places.size())},
            .cpus = std::max<std::int64_t>(1, (spec.cpu_millis + 999) / 1000),
            .memory_mib = (spec.memory_bytes + mib - 1) / mib,
            .minutes = std::clamp<std::int64_t>(ms / 60'000, 0, minutes_max) + minutes_beside,
            .script = meeting.script(),
            .output = meeting.journal()};
}

void SlurmRuntime::end_job(const std::string& job) {
    const std::int64_t until = boot_clock_ms() + end_within_ms;
    // Its guest first, at once; Slurm's own end would give it time.
    cluster_.signal(job, slurm_signal_kill);
    cluster_.cancel(job);
    while (is_active(cluster_.jobs(look_every_ms), job)) {
        if (boot_clock_ms() > until) throw RuntimeUnreachable("job " + job + " does not end");
        pause_for(look_every_ms, {});
    }
}

/// Jobs of an earlier try, also of one that was killed before it had noted the job's number.
void SlurmRuntime::cancel_leftovers(const std::string& lease_id) {
    for (const SlurmJob& job : cluster_.jobs(0)) {
        const auto mark = parse_mark(job.comment);
        const SlurmSelf self = cluster_.self();
        if (mark && job.is_active() && job.uid == self.uid && mark->host_id == self.host_id &&
            mark->lease_id == lease_id)
            end_job(job.id);
    }
}

std::string SlurmRuntime::await_prepared(const SlurmMeeting& meeting, const std::string& job,
                                         std::stop_token stop) {
    while (!stop.stop_requested()) {
        const std::vector<SlurmJob> jobs = cluster_.jobs(jobs_age_ms);
        const auto status = read_status(meeting);
        if (status && status->phase == SlurmPhase::failed) {
            if (status->image_failed) throw ImageError(status->detail);
            throw RuntimeError(status->detail);
        }
        if (status && !status->container_id.empty()) return status->container_id;
        if (!is_active(jobs, job)) throw RuntimeError("Slurm ended job " + job + " before it was prepared");
        pause_for(look_every_ms, stop);
    }
    end_job(job);
    return {};
}

std::string SlurmRuntime::create(const DesiredLease& lease, const ImageFacts&, const GuestFolders& folders,
                                 std::stop_token stop) {
    const SlurmMeeting meeting = meeting_of(fs::path(folders.outputs).parent_path());
    cancel_leftovers(lease.lease_id);
    fs::remove(meeting.job());
    fs::remove_all(meeting.folder);
    fs::create_directories(meeting.folder);
    fs::permissions(meeting.folder, fs::perms::owner_all);
    const SlurmOptions& options = cluster_.options();
    write_file_atomically(meeting.errand(),
                          encode_errand({.lease = lease,
                                         .host_id = options.host_id,
                                         .engine_socket = options.engine_socket,
                                         .runtime = options.runtime,
                                         .user_namespace = options.user_namespace,
                                         .folders = folders,
                                         .is_elsewhere = !is_here(lease.cards),
                                         .pulse_file = cluster_.pulse_file().string()}),
                          true);
    // Nothing of the renter's is in it: the errand is read from its file.
    write_file_atomically(meeting.script(), "#!/bin/sh\nexec " + quoted(options.program.string()) +
                                                " slurm-step --folder " + quoted(meeting.folder.string()) +
                                                "\n");
    const std::string job = cluster_.submit(order_for(lease, meeting));
    write_file_atomically(meeting.job(), job + "\n");
    spdlog::info("lease {} is Slurm's job {}", lease.lease_id, job);
    return await_prepared(meeting, job, stop);
}

std::optional<ContainerInspection> SlurmRuntime::start(const std::string& id, const TrafficTerms&,
                                                       const std::function<void()>&) {
    const auto found = find(id);
    if (!found) throw RuntimeError("the job is not there any more");
    write_file_atomically(found->meeting.start(), "start\n");
    for (const std::int64_t until = boot_clock_ms() + start_within_ms; boot_clock_ms() < until;) {
        const auto status = read_status(found->meeting);
        if (status && status->started_unix_ms != 0) return inspect(id);
        if (has_ended(status)) throw RuntimeError(status->detail);
        if (!is_active(cluster_.jobs(jobs_age_ms), found->job))
            throw RuntimeError("Slurm ended job " + found->job + " before it was started");
        pause_for(look_every_ms, {});
    }
    throw RuntimeUnreachable("job " + found->job + " does not start its guest");
}

std::optional<std::int64_t> SlurmRuntime::run_in(const std::string& id,
                                                 const std::vector<std::string>& command,
                                                 std::int64_t timeout_ms, std::stop_token stop) {
    const auto found = find(id);
    if (!found) throw RuntimeError("the job is not there any more");
    const auto last = read_look(found->meeting);
    const std::int64_t number = last ? last->number + 1 : 1;
    write_file_atomically(found->meeting.look(), encode_look({number, command, timeout_ms}), true);
    const std::int64_t until = boot_clock_ms() + timeout_ms + answer_within_ms;
    while (!stop.stop_requested() && boot_clock_ms() < until) {
        const auto looked = read_looked(found->meeting);
        if (looked && looked->number == number) {
            if (!looked->problem.empty()) throw RuntimeError(looked->problem);
            return looked->exit_code;
        }
        if (has_ended(read_status(found->meeting))) throw RuntimeError("the guest has ended");
        pause_for(look_every_ms, stop);
    }
    if (stop.stop_requested()) return std::nullopt;
    throw RuntimeUnreachable("job " + found->job + " does not say how a command in its guest ended");
}

/// What Slurm says of the job's time is an upper bound of the guest's. Its seconds are whole ones.
void SlurmRuntime::bound_by_slurm(const std::string& job, ContainerInspection& inspection) {
    const auto times = cluster_.times(job);
    if (!times || times->start_unix_s == 0 || times->end_unix_s < times->start_unix_s) return;
    if (times->state == "RUNNING" || times->state == "PENDING") return;
    if (inspection.finished_unix_ms == 0) inspection.finished_unix_ms = times->end_unix_s * 1000;
    const std::int64_t ms_max = (times->end_unix_s - times->start_unix_s + 1) * 1000;
    inspection.finished_unix_ms =
        std::min(inspection.finished_unix_ms, inspection.started_unix_ms + ms_max);
}

std::optional<ContainerInspection> SlurmRuntime::inspect(const std::string& id) {
    const std::vector<SlurmJob> jobs = cluster_.jobs(jobs_age_ms);
    const auto found = find(id);
    if (!found) return std::nullopt;
    ContainerInspection inspection;
    inspection.state = state_of(*found, jobs);
    if (found->status) {
        const SlurmStatus& status = *found->status;
        inspection.ever_started = status.started_unix_ms != 0;
        inspection.started_unix_ms = status.started_unix_ms;
        inspection.finished_unix_ms = status.finished_unix_ms;
        inspection.exit_code = status.exit_code;
        inspection.oom_killed = status.oom_killed;
        inspection.pid = found->errand.is_elsewhere ? 0 : status.pid;
    }
    if (inspection.state != ContainerState::exited || !inspection.ever_started) return inspection;
    if (!has_ended(found->status)) inspection.exit_code = exit_code_of_kill;
    bound_by_slurm(found->job, inspection);
    return inspection;
}

bool SlurmRuntime::signal(const std::string& id, const char* signal_name) {
    const auto found = find(id);
    if (!found || has_ended(found->status)) return false;
    const bool is_kill = std::string_view(signal_name) == "SIGKILL";
    return cluster_.signal(found->job, is_kill ? slurm_signal_kill : slurm_signal_terminate);
}

void SlurmRuntime::remove(const std::string& id) {
    const auto found = find(id);
    if (!found) {
        if (id.starts_with("slurm-")) end_job(id.substr(std::string_view("slurm-").size()));
        return;
    }
    end_job(found->job);
    const auto status = read_status(found->meeting);
    if (!status || !status->is_cleaned) {
        if (found->errand.is_elsewhere)
            sweep_elsewhere(*found);
        else
            sweep_slurm_step(found->meeting.folder);
    }
    // Away as a whole, so that nobody reads half of it.
    const fs::path gone = found->meeting.folder.string() + ".gone";
    fs::rename(found->meeting.folder, gone);
    fs::remove_all(gone);
}

void SlurmRuntime::sweep_elsewhere(const Found& found) {
    const std::vector<SlurmPlace> places = cards_.places_of_lease(found.errand.lease.cards);
    std::vector<std::string> words = cluster_.launch_words(places.front().node, {});
    for (const std::string& word :
         {cluster_.options().program.string(), std::string("slurm-step"), std::string("--sweep"),
          std::string("--folder"), found.meeting.folder.string()})
        words.push_back(word);
    const WatchedProcess process = run_watched(words, sweep_limits, {});
    if (process.end != ProcessEnd::exited || process.code != 0)
        throw RuntimeUnreachable("node " + places.front().node + " is not clean: the sweep " +
                                 describe(process, sweep_limits));
}

void SlurmRuntime::logs(const std::string& id, bool follow, const LogDemuxer::OnData& on_data,
                        std::stop_token stop) {
    const auto found = find(id);
    if (!found) throw RuntimeError("the job is not there any more");
    LogDemuxer demuxer(on_data);
    guard::Descriptor file;
    std::array<char, 16 * 1024> piece{};
    while (!stop.stop_requested()) {
        // Asked before reading: what an ended guest wrote is all there. A job that was killed says nothing.
        const auto now = follow ? find(id) : std::nullopt;
        const bool is_over = !now || state_of(*now, cluster_.jobs(jobs_age_ms)) == ContainerState::exited;
        if (file.get() < 0)
            file = guard::Descriptor(::open(found->meeting.output().c_str(), O_RDONLY | O_CLOEXEC));
        for (ssize_t n = 0; file.get() >= 0 && (n = ::read(file.get(), piece.data(), piece.size())) > 0;)
            if (!demuxer.feed({piece.data(), static_cast<std::size_t>(n)})) return;
        if (is_over) return;
        pause_for(2 * look_every_ms, stop);
    }
}

bool SlurmRuntime::is_here(const std::vector<LeaseCard>& cards) const {
    return cards_.is_here(cards);
}

}  // namespace fallow::agent

#include "agent/slurm_step.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "agent/clock.hpp"
#include "agent/container_runtime.hpp"
#include "agent/oom.hpp"
#include "agent/slurm_meeting.hpp"
#include "agent/state.hpp"
#include "agent/storage.hpp"
#include "guard/descriptor.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t round_ms = 100;
/// Slurm kills the job KillWait (30 s unless it is configured) after its SIGTERM; the guest goes before.
constexpr std::int64_t leave_within_ms = 10'000;
/// Nobody said to start it: the agent's own start comes within a minute or not at all.
constexpr std::int64_t wait_for_start_ms = 30 * 60 * 1000;
/// What the engines keep of a container's log.
constexpr std::int64_t output_bytes_max = 64LL * 1024 * 1024;
constexpr std::int64_t exit_code_of_kill = 137;

/// Copies the guest's output to a file as log frames, each octet once, also when the engine's stream
/// breaks.
class OutputCopy {
  public:
    OutputCopy(std::unique_ptr<Runtime> runtime, std::string id, const fs::path& file)
        : runtime_(std::move(runtime)),
          id_(std::move(id)),
          file_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)),
          thread_([this](std::stop_token stop) { follow(stop); }) {}

    /// The guest has ended: what is not yet there.
    void finish() {
        thread_.request_stop();
        thread_.join();
        pass(false, {});
    }

  private:
    void follow(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            try {
                pass(true, stop);
            } catch (const std::exception& error) {
                if (!stop.stop_requested()) spdlog::warn("the output cannot be read: {}", error.what());
            }
            const timespec pause{0, round_ms * 1'000'000};
            ::nanosleep(&pause, nullptr);
        }
    }

    void pass(bool follow, const std::stop_token& stop) {
        std::int64_t skip = copied_;
        runtime_->logs(
            id_, follow,
            [&](LogStream stream, std::string_view data) {
                const auto skipped = std::min(skip, static_cast<std::int64_t>(data.size()));
                skip -= skipped;
                data.remove_prefix(static_cast<std::size_t>(skipped));
                write(stream, data);
                return !stop.stop_requested();
            },
            stop);
    }

    void write(LogStream stream, std::string_view data) {
        if (data.empty() || copied_ >= output_bytes_max) return;
        const auto size = static_cast<std::uint32_t>(data.size());
        std::string frame(8, '\0');
        frame[0] = stream == LogStream::standard_output ? 1 : 2;
        for (unsigned i = 0; i < 4; ++i)
            frame[4 + i] = static_cast<char>(size >> (24 - 8 * i));
        frame += data;
        for (std::size_t done = 0; done < frame.size();) {
            const ssize_t n = ::write(file_.get(), frame.data() + done, frame.size() - done);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0) throw std::runtime_error("the output cannot be written");
            done += static_cast<std::size_t>(n);
        }
        copied_ += static_cast<std::int64_t>(data.size());
    }

    std::unique_ptr<Runtime> runtime_;
    std::string id_;
    guard::Descriptor file_;
    std::int64_t copied_ = 0;
    std::jthread thread_;  // last: it uses all of the above
};

/// Runs commands in the guest, as the agent asks for them: one at a time.
class GuestLooks {
  public:
    GuestLooks(ConnectRuntime connect, std::string id, SlurmMeeting meeting)
        : connect_(std::move(connect)),
          id_(std::move(id)),
          meeting_(std::move(meeting)),
          thread_([this](std::stop_token stop) { serve(stop); }) {}

  private:
    void serve(const std::stop_token& stop) {
        while (!stop.stop_requested()) {
            try {
                const auto look = read_look(meeting_);
                if (look && look->number > done_) carry_out(*look, stop);
            } catch (const std::exception& error) {
                spdlog::warn("a command was not run in the guest: {}", error.what());
            }
            const timespec pause{0, round_ms * 1'000'000};
            ::nanosleep(&pause, nullptr);
        }
    }

    /// An engine that does not answer leaves the agent without an answer, too.
    void carry_out(const SlurmLook& look, const std::stop_token& stop) {
        done_ = look.number;
        SlurmLooked looked{look.number, std::nullopt, {}};
        try {
            looked.exit_code = connect_()->run_in(id_, look.command, look.timeout_ms, stop);
        } catch (const RuntimeError& error) {
            looked.problem = error.what();
        }
        write_file_atomically(meeting_.looked(), encode_looked(looked), true);
    }

    ConnectRuntime connect_;
    std::string id_;
    SlurmMeeting meeting_;
    std::int64_t done_ = 0;
    std::jthread thread_;  // last: it uses all of the above
};

/// Whether the agent still hears from the server, as a node sees it that shares no clock with it: the file
/// changes.
class Pulse {
  public:
    Pulse(fs::path file, std::int64_t fence_ms) : file_(std::move(file)), fence_ms_(fence_ms) {}

    [[nodiscard]] bool is_fenced(std::int64_t now_boot_ms) {
        std::string text;
        try {
            text = read_file(file_);
        } catch (const std::exception&) {
            text = text_;  // not seen is not changed
        }
        if (text != text_ || changed_boot_ms_ == 0) changed_boot_ms_ = now_boot_ms;
        text_ = text;
        return now_boot_ms - changed_boot_ms_ >= fence_ms_;
    }

  private:
    fs::path file_;
    std::int64_t fence_ms_;
    std::string text_;
    std::int64_t changed_boot_ms_ = 0;
};

/// The cards that Slurm gave to the job, by the names that CDI has for them.
std::vector<LeaseCard> allocated_cards(std::vector<LeaseCard> cards) {
    const bool is_nvidia =
        std::ranges::any_of(cards, [](const LeaseCard& c) { return c.backend == "nvml"; });
    if (!is_nvidia) return cards;
    const char* const given = std::getenv("SLURM_JOB_GPUS");
    std::istringstream indices(given == nullptr ? "" : given);
    std::size_t count = 0;
    for (std::string index; std::getline(indices, index, ',');)
        if (count < cards.size()) cards[count++].uuid = index;
    if (count != cards.size())
        throw std::runtime_error("Slurm did not say which cards the job has: SLURM_JOB_GPUS is " +
                                 std::string(given == nullptr ? "not set" : given));
    return cards;
}

class SlurmStep {
  public:
    SlurmStep(SlurmMeeting meeting, SlurmErrand errand)
        : meeting_(std::move(meeting)),
          errand_(std::move(errand)),
          storage_(meeting_.folder.parent_path()),
          pulse_(errand_.pulse_file, errand_.is_elsewhere ? errand_.lease.fence_ms : INT64_MAX) {
        sigemptyset(&signals_);
        for (const int number : {SIGTERM, SIGUSR1, SIGUSR2})
            sigaddset(&signals_, number);
    }

    void run() {
        try {
            prepare();
            if (await_start()) guest();
        } catch (const ImageError& error) {
            status_.image_failed = true;
            fail(error.what());
        } catch (const std::exception& error) {
            fail(error.what());
        }
        clean();
        if (status_.phase == SlurmPhase::prepared || status_.phase == SlurmPhase::pulling)
            fail("it was ended before it was started");
        say();
    }

  private:
    void say() const { write_file_atomically(meeting_.status(), encode_status(status_), true); }

    void fail(const std::string& detail) {
        spdlog::error("{}", detail);
        if (status_.started_unix_ms == 0) status_.phase = SlurmPhase::failed;
        if (status_.detail.empty()) status_.detail = detail;
    }

    void prepare() {
        const ContainersHere here = containers_here({.host_id = errand_.host_id,
                                                     .socket_path = errand_.engine_socket,
                                                     .runtime = errand_.runtime,
                                                     .user_namespace = errand_.user_namespace});
        connect_ = here.connect;
        runtime_ = connect_();
        say();
        const ImageFacts image = pull();
        if (errand_.is_elsewhere) storage_.attach(false);
        DesiredLease lease = errand_.lease;
        lease.cards = allocated_cards(std::move(lease.cards));
        status_.container_id = runtime_->create(lease, image, errand_.folders, {});
        status_.phase = SlurmPhase::prepared;
        say();
    }

    /// Beside it the signals are heard, so that a job that is to end does not pull on.
    ImageFacts pull() {
        std::stop_source stop;
        const std::jthread listener([&](std::stop_token done) {
            while (!done.stop_requested()) {
                hear(boot_clock_ms());
                if (must_leave_) stop.request_stop();
            }
        });
        return runtime_->obtain_image(errand_.lease.spec->image, stop.get_token());
    }

    /// Waits up to a round for a signal.
    int hear(std::int64_t now) {
        const timespec pause{0, round_ms * 1'000'000};
        const int number = ::sigtimedwait(&signals_, nullptr, &pause);
        if (number == SIGTERM || number == SIGUSR2) must_leave_ = true;
        if (number == SIGTERM && leave_boot_ms_ == 0) leave_boot_ms_ = now + leave_within_ms;
        if (number == SIGUSR2) leave_boot_ms_ = now;
        return number;
    }

    bool await_start() {
        const std::int64_t until = boot_clock_ms() + wait_for_start_ms;
        while (!must_leave_ && boot_clock_ms() < until) {
            if (pulse_.is_fenced(boot_clock_ms())) {
                fail("no heartbeat was acknowledged before its start");
                return false;
            }
            if (fs::exists(meeting_.start())) return true;
            hear(boot_clock_ms());
        }
        return false;
    }

    void guest() {
        const std::string& id = status_.container_id;
        note(runtime_->start(id, {errand_.lease.lease_id}, [] {}));
        status_.phase = SlurmPhase::running;
        if (status_.started_unix_ms == 0) status_.started_unix_ms = wall_clock_ms();
        say();
        OutputCopy output(connect_(), id, meeting_.output());
        std::optional<GuestLooks> looks;
        if (errand_.lease.spec->health) looks.emplace(connect_, id, meeting_);
        while (true) {
            const auto inspection = look();
            if (inspection && (!*inspection || (*inspection)->state == ContainerState::exited)) {
                note(*inspection);
                break;
            }
            act(hear(boot_clock_ms()));
        }
        looks.reset();
        status_.oom_killed = (status_.oom_killed || oom_kills_of(id) > 0) && status_.exit_code != 0;
        try {
            output.finish();
        } catch (const std::exception& error) {
            spdlog::error("the end of the output is lost: {}", error.what());
        }
        status_.phase = SlurmPhase::exited;
    }

    /// Nothing when the engine does not answer now.
    std::optional<std::optional<ContainerInspection>> look() {
        try {
            return runtime_->inspect(status_.container_id);
        } catch (const std::exception& error) {
            spdlog::warn("the engine does not answer: {}", error.what());
            return std::nullopt;
        }
    }

    void note(const std::optional<ContainerInspection>& inspection) {
        if (!inspection) {
            status_.exit_code = exit_code_of_kill;
            status_.finished_unix_ms = wall_clock_ms();
            return;
        }
        status_.pid = inspection->pid;
        status_.started_unix_ms = inspection->started_unix_ms;
        status_.finished_unix_ms = inspection->finished_unix_ms;
        status_.exit_code = inspection->exit_code;
        status_.oom_killed = inspection->oom_killed;
    }

    void act(int signal_heard) {
        const std::string& id = status_.container_id;
        const std::int64_t now = boot_clock_ms();
        const bool is_fenced = pulse_.is_fenced(now);
        if (is_fenced) spdlog::warn("no heartbeat was acknowledged for {} ms", errand_.lease.fence_ms);
        try {
            if (is_fenced || (leave_boot_ms_ != 0 && now >= leave_boot_ms_)) {
                runtime_->signal(id, "SIGKILL");
                runtime_->resume(id);
            } else if (signal_heard == SIGTERM || signal_heard == SIGUSR1) {
                runtime_->signal(id, "SIGTERM");
            }
        } catch (const std::exception& error) {
            spdlog::warn("the guest could not be told: {}", error.what());
        }
    }

    void clean() {
        try {
            if (runtime_ && !status_.container_id.empty()) runtime_->remove(status_.container_id);
            if (errand_.is_elsewhere) storage_.detach();
            status_.is_cleaned = true;
        } catch (const std::exception& error) {
            spdlog::error("the node is not clean: {}", error.what());
        }
    }

    SlurmMeeting meeting_;
    SlurmErrand errand_;
    WorkingStorage storage_;
    Pulse pulse_;
    sigset_t signals_{};
    ConnectRuntime connect_;
    std::unique_ptr<Runtime> runtime_;
    SlurmStatus status_;
    std::atomic<bool> must_leave_ = false;
    std::atomic<std::int64_t> leave_boot_ms_ = 0;  ///< when the guest is killed; 0: nobody wants it to go
};

}  // namespace

int run_slurm_step(const fs::path& folder) {
    // Blocked in every thread: they are taken where they are waited for.
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGTERM, SIGUSR1, SIGUSR2})
        sigaddset(&signals, number);
    ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    const SlurmMeeting meeting{folder};
    SlurmStep(meeting, parse_errand(read_file(meeting.errand()))).run();
    return 0;
}

void sweep_slurm_step(const fs::path& folder) {
    const SlurmMeeting meeting{folder};
    const SlurmErrand errand = parse_errand(read_file(meeting.errand()));
    const auto runtime = containers_here({.host_id = errand.host_id,
                                          .socket_path = errand.engine_socket,
                                          .runtime = errand.runtime,
                                          .user_namespace = errand.user_namespace})
                             .connect();
    for (const ContainerSeen& seen : runtime->list())
        if (seen.lease_id == errand.lease.lease_id && seen.lease_epoch == errand.lease.lease_epoch)
            runtime->remove(seen.id);
    if (errand.is_elsewhere) WorkingStorage(folder.parent_path()).detach();
}

}  // namespace fallow::agent

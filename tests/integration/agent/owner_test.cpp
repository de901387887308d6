// The owner takes a card back with the server out of reach: a real agent, a real container, real commands.
#include <sys/inotify.h>
#include <sys/wait.h>

#include <cstdlib>
#include <sstream>
#include <thread>

#include "agent/agent.hpp"
#include "agent/owner_commands.hpp"
#include "agent/owner_words.hpp"
#include "host_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;

namespace {

const std::string card = "CPU-0123456789";

/// A host on which the lease runs, and then no agent.
class RunningLease : public Host {
  public:
    explicit RunningLease(const std::string& script, std::int64_t notice_ms) {
        DesiredLease lease = a_lease(script);
        lease.cards = {{"card_1", card, "opencl", "cpu", 0}};
        lease.reclaim_notice_ms = notice_ms;
        lease.fence_ms = 600'000;
        lease_id = lease.lease_id;
        adopt(lease);
        container = carry_out(ActionKind::prepare).container_id;
        guard.heartbeat(boot_clock_ms());
        REQUIRE(carry_out(ActionKind::start).started);
        wait_for_output("up\n");
        task.reset();
        state().save_acknowledged_heartbeat(current_boot_id(), {boot_clock_ms(), 0});
        write_file_atomically(state().signing_key_file(), PrivateKey::generate_ed25519().pem(), true);
    }

    std::string output(bool follow = false, const std::string& until = {}) {
        const Watchdog watchdog;
        std::string seen;
        engine().logs(
            container, follow,
            [&](LogStream, std::string_view data) {
                seen += data;
                return until.empty() || seen.find(until) == seen.npos;
            },
            watchdog.token());
        return seen;
    }
    void wait_for_output(const std::string& text) {
        REQUIRE(output(true, text).find(text) != std::string::npos);
    }

    [[nodiscard]] LeaseRecord record() {
        std::vector<std::string> unreadable;
        const auto records = state().load_records(unreadable);
        REQUIRE(records.size() == 1);
        return records[0];
    }

    /// Removes what the test leaves.
    ~RunningLease() {
        try {
            engine().remove(container);
            WorkingStorage(state().lease_folder(lease_id)).wipe();
        } catch (const std::exception& error) {
            WARN("the lease was not removed: " << error.what());
        }
    }
    RunningLease(const RunningLease&) = delete;
    RunningLease& operator=(const RunningLease&) = delete;

    std::string lease_id;
    std::string container;
};

class RunningAgent {
  public:
    explicit RunningAgent(const std::string& state_folder) : agent_(options(state_folder)) {
        thread_ = std::jthread([this](std::stop_token stop) { agent_.run(stop); });
        // It has taken the lease over once it answers the owner.
        wait_for_file(std::filesystem::path(state_folder) / "owner.sock");
        wait_for_answer(state_folder);
    }
    RunningAgent(const RunningAgent&) = delete;
    RunningAgent& operator=(const RunningAgent&) = delete;

    static void wait_for_file(const std::filesystem::path& path) {
        const fallow::guard::Descriptor changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
        REQUIRE(::inotify_add_watch(changes.get(), path.parent_path().c_str(), IN_CREATE) >= 0);
        const std::int64_t deadline = boot_clock_ms() + patience_ms;
        while (!std::filesystem::exists(path)) {
            pollfd changed{changes.get(), POLLIN, 0};
            REQUIRE(::poll(&changed, 1, static_cast<int>(deadline - boot_clock_ms())) == 1);
            std::array<char, 4096> events{};
            [[maybe_unused]] const ssize_t taken = ::read(changes.get(), events.data(), events.size());
        }
    }

    /// The socket has its name a moment before anybody listens at it.
    static void wait_for_answer(const std::string& state_folder) {
        for (const std::int64_t deadline = boot_clock_ms() + patience_ms;;) {
            try {
                static_cast<void>(ask_agent(state_folder, encode_question({})));
                return;
            } catch (const std::runtime_error&) {
                if (boot_clock_ms() >= deadline) throw;
                std::this_thread::yield();
            }
        }
    }

  private:
    static AgentOptions options(const std::string& state_folder) {
        std::filesystem::remove(std::filesystem::path(state_folder) / "owner.sock");
        AgentOptions options;
        options.state_folder = state_folder;
        options.engine_socket = PodmanService::instance().socket();
        options.measures = false;
        return options;
    }

    Agent agent_;
    std::jthread thread_;
};

CardStatus status_of(const std::string& state_folder) {
    return card_meant(parse_answer(ask_agent(state_folder, encode_question({}))), card);
}

/// The one line of the notice that begins so.
std::int64_t number_after(const std::string& text, const std::string& begin) {
    const auto at = text.find(begin);
    REQUIRE(at != std::string::npos);
    return std::stoll(text.substr(at + begin.size()));
}

constexpr const char* never_ends =
    "trap 'echo told; cat $FALLOW_NOTICE_FILE; echo env=$FALLOW_RECLAIM_NOTICE_MS' TERM; echo up; "
    "while :; do sleep 0.05; done";

}  // namespace

TEST_CASE("signal, file and deadline, then the kill; the card stays the owner's across a restart") {
    constexpr std::int64_t notice_ms = 1500;
    RunningLease host(never_ends, notice_ms);
    {
        const RunningAgent agent(host.state_folder);
        CHECK_FALSE(status_of(host.state_folder).is_held);
        CHECK(reclaim_card({host.state_folder, card, false, true, true}) == 0);
        const CardStatus now = status_of(host.state_folder);
        CHECK(now.is_held);
        CHECK(now.until_released);
        CHECK(now.is_free);
        CHECK_FALSE(now.is_offered);
    }
    const auto ended = host.engine().inspect(host.container);
    REQUIRE(ended);
    CHECK(ended->state == ContainerState::exited);
    CHECK(ended->exit_code == 137);
    const std::string output = host.output();
    INFO(output);
    CHECK(output.find("told\nreason=reclaimed_by_owner\n") != std::string::npos);
    CHECK(number_after(output, "env=") == notice_ms);
    const std::int64_t deadline = number_after(output, "deadline_unix_ms=");
    CHECK(parse_rfc3339(output.substr(output.find("deadline=") + 9, 24)) == deadline);
    // Not before the deadline, which was the whole notice after the signal.
    CHECK(ended->finished_unix_ms >= deadline);
    CHECK(deadline - ended->started_unix_ms >= notice_ms);
    WARN("free " << ended->finished_unix_ms - deadline << " ms after its deadline");

    const LeaseRecord record = host.record();
    CHECK(record.stop_cause == StopCause::reclaimed);
    CHECK_FALSE(record.meter.counting);
    CHECK_FALSE(record.reclaim_reported);
    CHECK_FALSE(record.exit_reported);

    const RunningAgent next(host.state_folder);
    CHECK(status_of(host.state_folder).is_held);
    CHECK_FALSE(status_of(host.state_folder).is_offered);
    CHECK(release_card(host.state_folder, card) == 0);
    CHECK_FALSE(status_of(host.state_folder).is_held);
    CHECK_THROWS_WITH(release_card(host.state_folder, card), Catch::Contains("not held"));
}

TEST_CASE("an owner in a hurry does not wait for the notice") {
    RunningLease host(never_ends, 3600'000);
    const RunningAgent agent(host.state_folder);
    CHECK(reclaim_card({host.state_folder, card, false, false, true}) == 0);
    host.wait_for_output("told");
    CHECK_FALSE(status_of(host.state_folder).is_free);
    CHECK(reclaim_card({host.state_folder, card, true, true, true}) == 0);
    CHECK(host.engine().inspect(host.container)->exit_code == 137);
    CHECK(status_of(host.state_folder).is_free);
}

TEST_CASE("a program that saves its work and leaves within the notice gives the card back sooner") {
    RunningLease host("trap 'echo saved; exit 0' TERM; echo up; while :; do sleep 0.05; done", 3600'000);
    const RunningAgent agent(host.state_folder);
    CHECK(reclaim_card({host.state_folder, card, false, true, true}) == 0);
    CHECK(host.engine().inspect(host.container)->exit_code == 0);
    CHECK(host.record().stop_cause == StopCause::reclaimed);
}

TEST_CASE("own runs a command on a free card, with its exit status, and gives the card back") {
    RunningLease host(never_ends, 100);
    const RunningAgent agent(host.state_folder);
    const std::string program = program_beside_this("fallow-agent").string();
    const std::string witness = host.state_folder + "/witness";
    // The command sees that the container has ended, and that the card is held while it runs.
    const std::string inner =
        program + " status --state " + host.state_folder + " >" + witness + "; exit 7";
    const std::string command = program + " own --state " + host.state_folder + " " + card +
                                " --yes -- sh -c '" + inner + "' 2>" + witness + ".err";
    const int ended = std::system(command.c_str());
    INFO(read_file(witness + ".err"));
    REQUIRE(WIFEXITED(ended));
    CHECK(WEXITSTATUS(ended) == 7);
    CHECK(read_file(witness + ".err").find(host.lease_id + " has run for") != std::string::npos);
    CHECK(read_file(witness).find("yours until your command ends\n") != std::string::npos);
    CHECK(host.engine().inspect(host.container)->state == ContainerState::exited);
    // The release is written to disk before it counts.
    const std::filesystem::path held = std::filesystem::path(host.state_folder) / "held.json";
    const fallow::guard::Descriptor changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    REQUIRE(::inotify_add_watch(changes.get(), host.state_folder.c_str(), IN_MOVED_TO) >= 0);
    const std::int64_t deadline = boot_clock_ms() + patience_ms;
    while (!parse_holds(read_file(held)).empty()) {
        pollfd changed{changes.get(), POLLIN, 0};
        REQUIRE(::poll(&changed, 1, static_cast<int>(deadline - boot_clock_ms())) == 1);
        std::array<char, 4096> events{};
        [[maybe_unused]] const ssize_t taken = ::read(changes.get(), events.data(), events.size());
    }
    CHECK_FALSE(status_of(host.state_folder).is_held);
}

TEST_CASE("nobody takes a card that is in use without saying so") {
    RunningLease host(never_ends, 100);
    const RunningAgent agent(host.state_folder);
    const std::string program = program_beside_this("fallow-agent").string();
    const std::string command = program + " reclaim --state " + host.state_folder + " " + card;
    CHECK(WEXITSTATUS(std::system((command + " </dev/null 2>/dev/null").c_str())) == 1);
    CHECK_FALSE(status_of(host.state_folder).is_held);
    CHECK(host.engine().inspect(host.container)->state == ContainerState::running);
    CHECK(WEXITSTATUS(std::system((command + " --yes --now --wait </dev/null >/dev/null 2>&1").c_str())) ==
          0);
    CHECK(status_of(host.state_folder).is_free);
}

// fallow-guard as a process of its own, over real containers: what it freezes, and what nothing can stop it
// from.
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <optional>

#include "agent/guard_link.hpp"
#include "guard/runtime.hpp"
#include "guard_fixture.hpp"
#include "guest_fixture.hpp"

using namespace fallow::agent;
using namespace fallow::agent::testing;
namespace guard = fallow::guard;

namespace {

/// A guest that counts, and the guard that watches it. The test plays the agent.
class Fenced {
  public:
    explicit Fenced(std::int64_t fence_ms, std::int64_t fenced_ms_max = 600'000, std::int64_t epoch = 7)
        : guest(a_lease("i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done")) {
        static int count = 0;
        folder = PodmanService::instance().folder() / ("guard-" + std::to_string(++count));
        std::filesystem::create_directories(folder);
        fenced_ms_max_ = fenced_ms_max;
        connect();
        watched.container = guest.id;
        watched.lease = "lease_of_test_" + std::to_string(count);
        watched.epoch = epoch;
        watched.fence_ms = start_fence_ms;
        link->heartbeat(boot_clock_ms());
        link->watch(watched);
        guest.start();
        const auto inspection = guest.engine.inspect(guest.id);
        REQUIRE(inspection);
        watched.pid = inspection->pid;
        watched.start_ticks = guard::start_ticks_of(inspection->pid).value_or(0);
        // However long its start took: from here on its fence counts.
        watched.fence_ms = fence_ms;
        link->heartbeat(boot_clock_ms());
        link->watch(watched);
    }

    void connect() {
        link.emplace(GuardOptions{folder, PodmanService::instance().socket(), {}, fenced_ms_max_});
    }

    [[nodiscard]] guard::Watched seen() {
        const auto all = link->list();
        const auto at = std::find_if(all.begin(), all.end(),
                                     [&](const auto& entry) { return entry.container == guest.id; });
        REQUIRE(at != all.end());
        return *at;
    }
    [[nodiscard]] bool is_frozen() const {
        const guard::Cgroups groups = guard::Cgroups::here();
        const auto group = groups.find(guest.id);
        return group && guard::Cgroups::is_frozen(*group);
    }
    void wait_until_frozen() { wait_for_book(folder, " frozen "); }

    Guest guest;
    std::filesystem::path folder;
    guard::Watched watched;
    std::optional<GuardLink> link;

  private:
    static constexpr std::int64_t start_fence_ms = 600'000;
    std::int64_t fenced_ms_max_;
};

/// In a process of its own, which becomes that user. Allocates nothing after the fork.
bool is_greeted_as(uid_t user, const std::filesystem::path& folder) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, guard::socket_file, sizeof address.sun_path - 1);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    char first = 0;
    return ::chdir(folder.c_str()) == 0 && ::setuid(user) == 0 &&
           ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
           ::recv(fd, &first, 1, 0) == 1;
}

}  // namespace

TEST_CASE("a container is frozen at its fence, and thawed on the agent's word alone") {
    Fenced fenced(700);
    const std::int64_t begun = boot_clock_ms();
    fenced.wait_until_frozen();
    CHECK(fenced.is_frozen());
    const guard::Watched frozen = fenced.seen();
    CHECK(frozen.state == guard::WatchState::frozen);
    CHECK(frozen.frozen_by == guard::FrozenBy::cgroup);
    CHECK(frozen.frozen_boot_ms <= begun + 700 + 200);
    // Not while no heartbeat is acknowledged, whoever asks.
    CHECK_THROWS_AS(fenced.link->thaw(fenced.guest.id), GuardRefusal);
    CHECK(fenced.is_frozen());

    const std::int64_t back = boot_clock_ms();
    fenced.link->heartbeat(back);
    CHECK(fenced.is_frozen());  // a heartbeat alone thaws nothing: the lease may be another's by now
    CHECK(fenced.link->thaw(fenced.guest.id) >= back);
    CHECK_FALSE(fenced.is_frozen());
    fenced.wait_until_frozen();  // and the fence falls again
    CHECK(fenced.is_frozen());
}

TEST_CASE("the agent's end changes nothing, and the guard ends with what it watches") {
    Fenced fenced(500);
    const GuardProcess process(fenced.folder);
    fenced.link.reset();
    fenced.wait_until_frozen();
    CHECK(fenced.is_frozen());
    fenced.guest.engine.remove(fenced.guest.id);
    process.wait_for_end();
}

TEST_CASE("a container frozen for too long is killed without anybody's word") {
    Fenced fenced(300, 600);
    fenced.link.reset();
    CHECK(fenced.guest.wait_for_end().exit_code == 137);
    wait_for_book(fenced.folder, " killed ");
    fenced.connect();
    // The agent has to learn when it was frozen: what came after is not billed.
    const guard::Watched killed = fenced.seen();
    CHECK(killed.state == guard::WatchState::killed);
    CHECK(killed.frozen_boot_ms != 0);
    CHECK_THROWS_AS(fenced.link->watch(fenced.watched), GuardRefusal);
    fenced.link->drop(fenced.guest.id);
    CHECK(fenced.link->list().empty());
}

TEST_CASE("a guard that is killed is replaced, and the next goes on from its book") {
    Fenced fenced(3000);
    GuardProcess(fenced.folder).signal(SIGKILL);
    CHECK(fenced.seen().state == guard::WatchState::running);  // the link starts another
    fenced.wait_until_frozen();
    CHECK(fenced.is_frozen());
}

TEST_CASE("a guard that hangs is replaced") {
    Fenced fenced(600'000);
    const GuardProcess hung(fenced.folder);
    hung.signal(SIGSTOP);
    CHECK(fenced.seen().state == guard::WatchState::running);
    hung.wait_for_end();
    CHECK(GuardProcess(fenced.folder).pid() != hung.pid());
    CHECK(fenced.link->list().front() == fenced.watched);
}

TEST_CASE("a guard that is told to end leaves nothing running unguarded") {
    Fenced fenced(600'000);
    const GuardProcess process(fenced.folder);
    process.signal(SIGTERM);
    process.wait_for_end();
    CHECK(fenced.is_frozen());
    CHECK(fenced.seen().state == guard::WatchState::frozen);
    fenced.link->heartbeat(boot_clock_ms());
    fenced.link->thaw(fenced.guest.id);
    CHECK_FALSE(fenced.is_frozen());
}

TEST_CASE("the engine hangs, and the fence falls all the same") {
    Fenced fenced(700);
    const StoppedEngine engine(patience_ms);
    wait_for_book(fenced.folder, " frozen cgroup ");
    CHECK(fenced.is_frozen());
}

TEST_CASE("a lease's newer epoch kills the older container, and an older epoch is refused") {
    Fenced older(600'000);
    guard::Watched newer = older.watched;
    newer.container = "c0ffee00c0ffee00";
    newer.epoch = older.watched.epoch + 1;
    newer.pid = newer.start_ticks = 0;
    older.link->watch(newer);
    CHECK(older.guest.wait_for_end().exit_code == 137);
    CHECK_THROWS_AS(older.link->watch(older.watched), GuardRefusal);
    older.link->drop(newer.container);
    older.link->drop(older.guest.id);
}

TEST_CASE("what was frozen by a guard whose book is lost stays frozen, and counts as frozen at its fence") {
    Fenced fenced(500);
    const std::int64_t fence = boot_clock_ms() + 500;
    fenced.wait_until_frozen();
    GuardProcess(fenced.folder).signal(SIGKILL);
    std::filesystem::remove(fenced.folder / guard::book_file);
    CHECK(fenced.link->list().empty());
    fenced.link->watch(fenced.watched);
    const guard::Watched found = fenced.seen();
    CHECK(found.state == guard::WatchState::frozen);
    CHECK(found.frozen_boot_ms <= fence);
    CHECK(fenced.is_frozen());
}

TEST_CASE("there is one guard for a state folder") {
    Fenced fenced(600'000);
    const std::string command = program_beside_this("fallow-guard").string() + " --foreground --state " +
                                fenced.folder.string() + " --engine-socket /nonexistent 2>/dev/null";
    CHECK(std::system(command.c_str()) != 0);
    CHECK(fenced.seen().state == guard::WatchState::running);
}

TEST_CASE("a connection of another user is closed without a word") {
    Fenced fenced(600'000);
    // What keeps others out first is the folder, which is opened up here.
    std::filesystem::permissions(PodmanService::instance().folder(), std::filesystem::perms(0711));
    std::filesystem::permissions(fenced.folder, std::filesystem::perms(0711));
    std::filesystem::permissions(fenced.folder / guard::socket_file, std::filesystem::perms(0777));
    const auto greeted = [&](uid_t user) {
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) ::_exit(is_greeted_as(user, fenced.folder) ? 0 : 1);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        REQUIRE(WIFEXITED(status));
        return WEXITSTATUS(status) == 0;
    };
    CHECK(greeted(0));
    CHECK_FALSE(greeted(65'534));
}

TEST_CASE("either version of the control groups freezes, thaws and kills") {
    const auto roots = guard::freezer_roots(whole_file("/proc/self/mountinfo"));
    REQUIRE_FALSE(roots.empty());
    for (const guard::CgroupRoot& root : roots) {
        INFO((root.is_v2 ? "version 2 at " : "version 1 at ") << root.path);
        Fenced fenced(600'000);
        const auto group = guard::Cgroups({root}).find(fenced.guest.id);
        REQUIRE(group);
        CHECK_FALSE(guard::Cgroups::is_frozen(*group));
        CHECK(guard::Cgroups::freeze(*group));
        guard::Runtime runtime(guard::Cgroups({root}), guard::EngineSocket("/nonexistent"));
        const std::int64_t deadline = boot_clock_ms() + patience_ms;
        while (!runtime.is_frozen(fenced.watched) && boot_clock_ms() < deadline)
            std::this_thread::yield();  // the kernel has no event for it that both versions know
        CHECK(runtime.freeze(fenced.watched, false) == guard::Frozen::was_already);
        CHECK(guard::Cgroups::thaw(*group));
        fenced.guest.wait_for_output("\n");
        CHECK(guard::Cgroups::freeze(*group));
        CHECK(guard::Cgroups::kill(*group));
        CHECK(fenced.guest.wait_for_end().exit_code == 137);
    }
}

TEST_CASE("where no control group is found the engine pauses, and what cannot be paused dies") {
    Fenced fenced(600'000);
    const auto socket = GENERATE(true, false);
    const std::string path = socket ? PodmanService::instance().socket() : std::string("/nonexistent");
    guard::Runtime runtime(guard::Cgroups({}), guard::EngineSocket(path));
    guard::Watched watched = fenced.watched;
    if (socket) {
        CHECK(runtime.freeze(watched, true) == guard::Frozen::by_engine);
        CHECK(fenced.is_frozen());
        CHECK(fenced.guest.engine.inspect(fenced.guest.id)->state == ContainerState::paused);
        watched.frozen_by = guard::FrozenBy::engine;
        CHECK(runtime.thaw(watched));
        CHECK_FALSE(fenced.is_frozen());
        CHECK(runtime.kill(watched));
    } else {
        CHECK(runtime.freeze(watched, true) == guard::Frozen::impossible);
        CHECK(runtime.kill(watched));
    }
    CHECK(fenced.guest.wait_for_end().exit_code == 137);
    CHECK(runtime.freeze(watched, true) == guard::Frozen::absent);
}

TEST_CASE("the guard is small, and the last to be killed when memory runs out") {
    const Fenced fenced(600'000);
    const std::string proc = "/proc/" + std::to_string(GuardProcess(fenced.folder).pid());
    const std::string status = whole_file(proc + "/status");
    const auto kib = [&](const std::string& name) {
        const std::size_t at = status.find(name + ":");
        return at == status.npos ? -1 : std::stol(status.substr(at + name.size() + 1));
    };
    CHECK(kib("VmRSS") < 16 * 1024);
    CHECK(kib("VmLck") > 0);
    CHECK(kib("Threads") == 1);
    // Only a process with this capability may lower its score, which not every root has.
    constexpr unsigned cap_sys_resource = 24;
    const std::uint64_t capabilities = std::stoull(status.substr(status.find("CapEff:") + 8), nullptr, 16);
    if ((capabilities >> cap_sys_resource & 1) != 0)
        CHECK(whole_file(proc + "/oom_score_adj") == "-1000\n");
}

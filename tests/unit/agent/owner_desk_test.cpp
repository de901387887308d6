#include "agent/owner_desk.hpp"

#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <fstream>

#include "agent/clock.hpp"
#include "guard/process.hpp"
#include "temporary_folder.hpp"

extern char** environ;

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

/// A process that waits until it is killed.
class Sleeper {
  public:
    Sleeper() {
        std::string program = "/bin/sleep";
        std::string forever = "infinity";
        char* words[] = {program.data(), forever.data(), nullptr};
        REQUIRE(::posix_spawn(&pid_, words[0], nullptr, nullptr, words, environ) == 0);
        process = {pid_, fallow::guard::start_ticks_of(pid_).value()};
    }
    ~Sleeper() { end(); }
    Sleeper(const Sleeper&) = delete;
    Sleeper& operator=(const Sleeper&) = delete;

    void end() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

    OwnerProcess process;

  private:
    pid_t pid_ = 0;
};

}  // namespace

TEST_CASE("what the owner holds survives the agent") {
    const TemporaryFolder folder;
    {
        OwnerDesk desk(folder.path(), "boot");
        CHECK(desk.claims().empty());
        desk.take("GPU-1", false, std::nullopt);
        desk.take("GPU-2", true, std::nullopt);
    }
    OwnerDesk desk(folder.path(), "boot");
    const auto claims = desk.claims();
    REQUIRE(claims.size() == 2);
    CHECK(claims[0].uuid == "GPU-1");
    CHECK_FALSE(claims[0].at_once);
    CHECK(claims[0].takes_running);
    CHECK(claims[0].since_boot_ms > 0);
    CHECK(claims[1].at_once);

    CHECK(desk.release("GPU-1"));
    CHECK_FALSE(desk.release("GPU-1"));
    CHECK(OwnerDesk(folder.path(), "boot").claims().size() == 1);
    // After a boot the card is still the owner's, and no notice is left of before.
    CHECK(OwnerDesk(folder.path(), "another boot").claims()[0].since_boot_ms == 0);
}

TEST_CASE("a damaged file is no reason to rent the owner's cards out") {
    const TemporaryFolder folder;
    std::ofstream(folder.path() / "held.json") << "{\"held\": [{\"uuid\": \"GPU-1\"}";
    CHECK_THROWS_AS(OwnerDesk(folder.path(), "boot"), std::runtime_error);
}

TEST_CASE("a card that is taken again keeps its notice, unless the owner is in a hurry") {
    const TemporaryFolder folder;
    OwnerDesk desk(folder.path(), "boot");
    desk.take("GPU-1", false, std::nullopt);
    const auto first = desk.claims();
    desk.take("GPU-1", false, std::nullopt);
    CHECK(desk.claims() == first);
    desk.take("GPU-1", true, std::nullopt);
    CHECK(desk.claims()[0].at_once);
    CHECK(desk.claims()[0].since_boot_ms == first[0].since_boot_ms);
    desk.take("GPU-1", false, std::nullopt);
    CHECK(desk.claims()[0].at_once);
}

TEST_CASE("a card taken for a process is given back when the last of its processes has ended") {
    const TemporaryFolder folder;
    OwnerDesk desk(folder.path(), current_boot_id());
    Sleeper one;
    Sleeper two;
    desk.take("GPU-1", false, one.process);
    desk.take("GPU-1", false, two.process);
    CHECK(desk.release_ended().empty());
    one.end();
    CHECK(desk.release_ended().empty());
    CHECK(OwnerDesk(folder.path(), current_boot_id()).holds() == desk.holds());
    SECTION("it ends") {
        two.end();
        CHECK(desk.release_ended() == std::vector<std::string>{"GPU-1"});
        CHECK(desk.claims().empty());
        CHECK(desk.release_ended().empty());
    }
    SECTION("the owner wanted it besides") {
        desk.take("GPU-1", false, std::nullopt);
        two.end();
        CHECK(desk.release_ended().empty());
        CHECK(desk.release("GPU-1"));
    }
    SECTION("the host was restarted, and the number may be another's") {
        OwnerDesk later(folder.path(), "another boot");
        CHECK(later.release_ended() == std::vector<std::string>{"GPU-1"});
    }
    SECTION("taken again after a restart of the host") {
        OwnerDesk later(folder.path(), "another boot");
        later.take("GPU-1", false, two.process);
        CHECK(later.release_ended().empty());
        CHECK(later.claims()[0].since_boot_ms > 0);
    }
}

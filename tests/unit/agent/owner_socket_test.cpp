#include "agent/owner_socket.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <stdexcept>

#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

/// Longer than the name of a socket may be.
std::filesystem::path deep(const std::filesystem::path& folder) {
    const auto path = folder / std::string(120, 'x');
    std::filesystem::create_directories(path);
    return path;
}

}  // namespace

TEST_CASE("the owner's socket is for its owner alone, answers line by line, and knows who asks") {
    const TemporaryFolder folder;
    const auto state = deep(folder.path());
    const OwnerSocket socket(state, [](const std::string& line, std::int64_t peer_pid) {
        return line + " " + (peer_pid == ::getpid() ? "from us" : "from another");
    });
    struct stat facts {};
    REQUIRE(::stat((state / "owner.sock").c_str(), &facts) == 0);
    CHECK((facts.st_mode & 0777U) == 0600U);
    CHECK(ask_agent(state, "one") == "one from us");
    CHECK(ask_agent(state, "two") == "two from us");
}

TEST_CASE("a new agent takes the socket over, and without an agent the owner reads what to do") {
    const TemporaryFolder folder;
    const auto reply = [](const std::string& line, std::int64_t) { return line; };
    CHECK_THROWS_WITH(ask_agent(folder.path(), "x"), Catch::Contains("fallow-agent run"));
    { const OwnerSocket first(folder.path(), reply); }
    CHECK_THROWS_WITH(ask_agent(folder.path(), "x"), Catch::Contains("fallow-agent run"));
    const OwnerSocket second(folder.path(), reply);
    CHECK(ask_agent(folder.path(), "x") == "x");
    const std::string long_answer(100'000, 'y');
    const TemporaryFolder other;
    const OwnerSocket wordy(other.path(), [&](const std::string&, std::int64_t) { return long_answer; });
    CHECK(ask_agent(other.path(), "x") == long_answer);
    CHECK_THROWS_WITH(ask_agent(other.path(), long_answer), Catch::Contains("did not answer"));
}

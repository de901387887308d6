// What the agent makes of an engine's odd answers, which a real one gives too seldom for a test.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstring>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "agent/engine.hpp"
#include "guard/descriptor.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;
using fallow::guard::Descriptor;

namespace {

std::string reply(int status, const std::string& body) {
    return "HTTP/1.1 " + std::to_string(status) +
           " .\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
           "\r\n\r\n" + body;
}

/// Answers one connection's requests with these, in turn.
class ScriptedEngine {
  public:
    explicit ScriptedEngine(std::vector<std::string> replies)
        : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path().c_str(), sizeof address.sun_path - 1);
        REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(listener_.get(), 1) == 0);
        thread_ = std::thread([this, replies = std::move(replies)] { serve(replies); });
    }
    ~ScriptedEngine() {
        ::shutdown(listener_.get(), SHUT_RDWR);
        thread_.join();
    }
    ScriptedEngine(const ScriptedEngine&) = delete;
    ScriptedEngine& operator=(const ScriptedEngine&) = delete;

    [[nodiscard]] std::string path() const { return (folder_.path() / "engine.sock").string(); }

  private:
    void serve(const std::vector<std::string>& replies) const {
        const Descriptor line(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        std::string asked;
        std::array<char, 4096> octets{};
        for (const std::string& answer : replies) {
            while (asked.find("\r\n\r\n") == asked.npos) {
                const ssize_t length = ::recv(line.get(), octets.data(), octets.size(), 0);
                if (length <= 0) return;
                asked.append(octets.data(), static_cast<std::size_t>(length));
            }
            asked.erase(0, asked.find("\r\n\r\n") + 4);
            if (::send(line.get(), answer.data(), answer.size(), MSG_NOSIGNAL) < 0) return;
        }
    }

    TemporaryFolder folder_;
    Descriptor listener_;
    std::thread thread_;
};

}  // namespace

TEST_CASE("a container whose process has ended a moment ago is looked at again") {
    const std::string gone = R"({"message": "read /proc/19675/cgroup: no such process"})";
    const ScriptedEngine scripted(
        {reply(500, gone), reply(500, gone), reply(200, R"({"State": {"Status": "exited", "ExitCode": 75,
                        "StartedAt": "2026-11-29T15:11:12Z", "FinishedAt": "2026-11-29T15:11:13Z"}})")});
    Engine engine(scripted.path());
    const auto found = engine.inspect("c0ffee");
    REQUIRE(found);
    CHECK(found->state == ContainerState::exited);
    CHECK(found->exit_code == 75);
    CHECK(found->ever_started);
}

TEST_CASE("an engine that fails for another reason is believed") {
    const ScriptedEngine scripted({reply(500, R"({"message": "database is locked"})")});
    Engine engine(scripted.path());
    CHECK_THROWS_WITH(engine.inspect("c0ffee"), Catch::Contains("database is locked"));
}

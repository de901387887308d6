#include "unit/sdk/cli_bench.hpp"

#include <spawn.h>
#include <sys/wait.h>

#include <fcntl.h>
#include <catch2/catch.hpp>

#include "support/paths.hpp"

namespace fallow::sdk::testing {
namespace {

std::vector<char*> pointers_to(Words& words) {
    std::vector<char*> pointers;
    for (std::string& word : words)
        pointers.push_back(word.data());
    pointers.push_back(nullptr);
    return pointers;
}

}  // namespace

Outcome run(const TemporaryFolder& folder, Words arguments, Words environment) {
    const std::string program = fallow::testing::bin_dir() + "/fallow";
    const std::string out = (folder.path() / ".stdout").string();
    const std::string err = (folder.path() / ".stderr").string();
    arguments.insert(arguments.begin(), program);
    posix_spawn_file_actions_t actions{};
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_addopen(&actions, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    pid_t process = 0;
    const int failed = ::posix_spawn(&process, program.c_str(), &actions, nullptr,
                                     pointers_to(arguments).data(), pointers_to(environment).data());
    posix_spawn_file_actions_destroy(&actions);
    REQUIRE(failed == 0);
    int status = 0;
    REQUIRE(::waitpid(process, &status, 0) == process);
    REQUIRE(WIFEXITED(status));
    Outcome outcome{WEXITSTATUS(status), read_file(out), read_file(err)};
    std::filesystem::remove(out);
    std::filesystem::remove(err);
    return outcome;
}

std::string Bench::sent(std::size_t request) {
    const auto requests = server.requests();
    const auto& one = requests.at(request);
    return one.line().substr(0, one.line().rfind(' ')) + (one.body.empty() ? "" : " ") + one.body;
}

std::string page(const Words& items, const std::string& next) {
    std::string text;
    for (const std::string& item : items)
        text += (text.empty() ? "" : ",") + item;
    return R"({"items":[)" + text + R"(],"next_cursor":)" + next + "}";
}

}  // namespace fallow::sdk::testing

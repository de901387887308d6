// Whose the processes on a card are.
#include "agent/card_processes.hpp"

#include <catch2/catch.hpp>

using namespace fallow::agent;

TEST_CASE("a container is known by the name of its control group") {
    const std::string id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    struct Row {
        std::string groups;
        std::string container;
    };
    const std::vector<Row> rows = {
        {"0::/machine.slice/libpod-" + id + ".scope/container\n", id},
        {"12:memory:/libpod_parent/libpod-" + id + "\n0::/user.slice\n", id},
        {"0::/system.slice/docker-" + id + ".scope\n", id},
        {"4:pids:/docker/" + id + "\n", id},
        {"0::/user.slice/user-1000.slice/session-2.scope\n", ""},
        {"0::/docker/" + id.substr(1) + "\n", ""},
        {"0::/docker/" + id + "0\n", ""},
        {"", ""},
    };
    for (const Row& row : rows) {
        INFO(row.groups);
        CHECK(container_in(row.groups) == row.container);
    }
}

TEST_CASE("a guest's process is in a container of a lease, or has ended") {
    const std::vector<std::string> containers = {"abc", ""};
    CHECK(is_guests({.pid = 7, .program = "python3", .container = "abc"}, containers));
    CHECK_FALSE(is_guests({.pid = 7, .program = "python3", .container = "def"}, containers));
    CHECK_FALSE(is_guests({.pid = 7, .program = "python3"}, containers));
    CHECK(is_guests({.pid = 7}, containers));
    CHECK(name_of({.pid = 7, .program = "python3"}) == "7 (python3)");
    CHECK(name_of({.pid = 7}) == "7 (has ended)");
}

TEST_CASE("a process that is not there has no program") {
    CHECK(program_of(999'999'999).empty());
    CHECK_FALSE(program_of(1).empty());
}

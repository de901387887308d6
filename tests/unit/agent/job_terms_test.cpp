// The small parts of what a job can ask for: who a secret belongs to, how busy a container is, shared
// memory.
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "agent/cpu_use.hpp"
#include "agent/guest_profile.hpp"

using namespace fallow::agent;

TEST_CASE("the user that an image names, as the guest numbers it") {
    const char* const passwd =
        "root:x:0:0:root:/:/bin/sh\nbroken:x:1\napp:x:1000:1001::/:\nfar:x:70000:1::/:\nlast:x:7:8::/:";
    struct Row {
        const char* user;
        bool is_named;
        std::int64_t uid;  ///< -1: unknown
    };
    for (const Row& row :
         {Row{"", false, 0}, Row{"0", false, 0}, Row{"1000", false, 1000}, Row{"1000:50", false, 1000},
          Row{"app", true, 1000}, Row{"app:staff", true, 1000}, Row{"last", true, 7},
          Row{"broken", true, -1}, Row{"far", true, -1}, Row{"nobody", true, -1}, Row{"70000", true, -1},
          Row{":staff", false, 0}}) {
        INFO(row.user);
        CHECK(is_named_user(row.user) == row.is_named);
        const auto user = user_in_guest(row.user, passwd);
        CHECK((user ? user->uid : -1) == row.uid);
    }
}

TEST_CASE("shared memory and secrets in a guest's profile") {
    DesiredLease lease;
    lease.spec = JobSpec{};
    lease.spec->memory_bytes = std::int64_t{1} << 30;
    const auto body = [&](const GuestFolders& folders) {
        return nlohmann::json::parse(podman_create_body(guest_profile(lease, {}, {}, folders)));
    };
    const GuestFolders plain = {"/l/in", "/l/out", "/l/notice"};
    CHECK(body(plain)["shm_size"] == 64 << 20);
    CHECK(body(plain).dump().find("/run/secrets") == std::string::npos);
    lease.spec->shm_bytes = 512 << 20;
    CHECK(body(plain)["shm_size"] == 512 << 20);
    const auto mounts = body({"/l/in", "/l/out", "/l/notice", "/l/secrets"})["mounts"];
    const auto& last = mounts.back();
    CHECK(last["destination"] == "/run/secrets");
    CHECK(last["source"] == "/l/secrets");
    CHECK(last["options"][0] == "ro");
}

TEST_CASE("a guest with a hosts file of its own cannot write it") {
    DesiredLease lease;
    lease.spec = JobSpec{};
    const auto mounts = [&](const std::string& hosts) {
        const GuestFolders folders = {"/l/in", "/l/out", "/l/notice", "", hosts};
        return nlohmann::json::parse(podman_create_body(guest_profile(lease, {}, {}, folders)))["mounts"];
    };
    CHECK(mounts("").dump().find("/etc/hosts") == std::string::npos);
    const auto with = mounts("/l/notice/hosts");
    CHECK(with.back()["destination"] == "/etc/hosts");
    CHECK(with.back()["source"] == "/l/notice/hosts");
    CHECK(with.back()["options"][0] == "ro");
}

TEST_CASE("how busy a container was since the look before") {
    CpuUse use;
    CHECK_FALSE(use.percent(0, 1000, 500));
    CHECK(use.percent(250'000'000, 2000, 500) == 50);
    CHECK(use.percent(750'000'000, 3000, 500) == 100);
    CHECK(use.percent(750'000'000, 4000, 500) == 0);
    CHECK_FALSE(use.percent(std::nullopt, 5000, 500));
    CHECK_FALSE(use.percent(900'000'000, 6000, 500));
    CHECK_FALSE(use.percent(1, 7000, 500));  // another container's count
}

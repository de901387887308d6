// The two spellings of one profile. That the engines obey them is shown by
// tests/integration/agent/guest_test.cpp.
#include "agent/guest_profile.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace fallow::agent;
using nlohmann::json;

namespace {

DesiredLease a_lease() {
    DesiredLease lease;
    lease.lease_id = "lease_x";
    lease.lease_epoch = 9;
    JobSpec spec;
    spec.image = "image:1";
    spec.command = {"run", "it"};
    spec.env = {{"A", "b"}, {"LD_PRELOAD", "x"}, {"NVIDIA_VISIBLE_DEVICES", "all"}};
    spec.memory_bytes = 1 << 30;
    spec.cpu_millis = 1500;
    spec.pids_max = 64;
    spec.disk_bytes = 2 << 20;
    lease.spec = spec;
    lease.cards = {{"card_1", "GPU-1", "nvml", "gpu", 0}, {"card_2", "OCL-1", "opencl", "cpu", 1}};
    return lease;
}

HostFacts a_host() {
    return {.host_id = "host_1",
            .runtime = "runc",
            .user_namespace = true,
            .nofile_max = 4096,
            .nproc_max = 1000};
}

GuestProfile a_profile() {
    return guest_profile(a_lease(),
                         {"sha256:1", {"PATH=/bin", "LD_LIBRARY_PATH=/x"}, {"/data", "/work/in"}}, a_host(),
                         {"/in", "/out", "/notice"});
}

}  // namespace

TEST_CASE("a profile holds what the lease may have and no more") {
    const GuestProfile profile = a_profile();
    CHECK(profile.image == "sha256:1");
    CHECK(profile.env == std::map<std::string, std::string>{{"A", "b"},
                                                            {"FALLOW_NOTICE_FILE", "/work/notice/stop"},
                                                            {"FALLOW_RECLAIM_NOTICE_MS", "60000"},
                                                            {"LD_LIBRARY_PATH", ""}});
    CHECK(profile.cdi_devices == std::vector<std::string>{"nvidia.com/gpu=GPU-1"});
    CHECK(profile.hidden_volumes == std::vector<std::string>{"/run", "/var/tmp", "/data"});
    CHECK(profile.nproc_max == 64);
    CHECK(profile.labels.at("fallow.lease") == "lease_x");
    CHECK(profile.labels.at("fallow.epoch") == "9");
    CHECK(profile.user.empty());
}

TEST_CASE("without a user namespace the guest is nobody, whatever its image says") {
    HostFacts host = a_host();
    host.user_namespace = false;
    const GuestProfile profile = guest_profile(a_lease(), {}, host, {"/in", "/out", "/notice"});
    CHECK(profile.user == "65534:65534");
    CHECK(profile.nproc_max == 1000);
    CHECK_FALSE(json::parse(docker_create_body(profile))["HostConfig"].contains("UsernsMode"));
    CHECK_FALSE(json::parse(podman_create_body(profile)).contains("idmappings"));
}

TEST_CASE("a runtime with a network stack of its own is known by its name") {
    for (const char* runtime : {"runsc", "kata"})
        CHECK(has_own_network_stack(runtime));
    for (const char* runtime : {"runc", "crun", ""})
        CHECK_FALSE(has_own_network_stack(runtime));
}

TEST_CASE("Docker's spelling") {
    const json body = json::parse(docker_create_body(a_profile()));
    const json& host = body["HostConfig"];
    CHECK(host["NetworkMode"] == "none");
    CHECK(host["ReadonlyRootfs"] == true);
    CHECK(host["CapDrop"] == json{"ALL"});
    CHECK(host["SecurityOpt"] == json{"no-new-privileges"});
    CHECK(host["Memory"] == 1 << 30);
    CHECK(host["MemorySwap"] == host["Memory"]);
    CHECK(host["PidsLimit"] == 64);
    CHECK(host["NanoCpus"] == 1'500'000'000);
    CHECK(host["Binds"] == json{"/in:/work/in:ro", "/out:/work/out:rw", "/notice:/work/notice:ro"});
    CHECK(host["UsernsMode"] == "auto:size=65536");
    CHECK(host["Runtime"] == "runc");
    CHECK(host["DeviceRequests"][0]["DeviceIDs"] == json{"nvidia.com/gpu=GPU-1"});
    CHECK(body["Cmd"] == json{"run", "it"});
}

TEST_CASE("Podman's spelling") {
    const json body = json::parse(podman_create_body(a_profile()));
    CHECK(body["netns"]["nsmode"] == "none");
    CHECK(body["read_only_filesystem"] == true);
    CHECK(body["cap_drop"] == json{"ALL"});
    CHECK(body["no_new_privileges"] == true);
    CHECK(body["privileged"] == false);
    CHECK(body["resource_limits"]["memory"] == json{{"limit", 1 << 30}, {"swap", 1 << 30}});
    CHECK(body["resource_limits"]["pids"]["limit"] == 64);
    CHECK(body["resource_limits"]["cpu"]["quota"] == 150'000);
    CHECK(body["idmappings"]["AutoUserNs"] == true);
    CHECK(body["devices"] == json{{{"path", "nvidia.com/gpu=GPU-1"}}});
    CHECK(body["image_volume_mode"] == "ignore");
    CHECK(body["env_host"] == false);
}

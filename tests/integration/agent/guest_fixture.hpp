// A guest container made with the product's own profile, storage and engine client, in a few words.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/engine.hpp"
#include "agent/guest_profile.hpp"
#include "agent/storage.hpp"
#include "podman_fixture.hpp"

namespace fallow::agent::testing {

inline DesiredLease a_lease(const std::string& script) {
    static int count = 0;
    DesiredLease lease;
    std::string digits = std::to_string(++count);
    lease.lease_id = "lease_" + std::string(26 - digits.size(), '0') + digits;
    lease.lease_epoch = 7;
    lease.run = true;
    JobSpec spec;
    spec.image = test_image;
    spec.command = {"/bin/sh", "-c", script};
    spec.memory_bytes = 64LL << 20;
    spec.cpu_millis = 500;
    spec.pids_max = 20;
    spec.disk_bytes = 8LL << 20;
    lease.spec = spec;
    return lease;
}

inline HostFacts host_facts() {
    HostFacts host;
    host.host_id = "host_1";
    host.runtime = "runc";
    host.nofile_max = 1024;
    host.nproc_max = 512;
    return host;
}

/// Polls: the engine has no call that waits for every kind of change. Fails the test after half a minute.
template <class Condition>
void eventually(const std::string& what, const Condition& condition) {
    for (int i = 0; i < 3000; ++i) {
        if (condition()) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL("it did not come about: " << what);
}

struct GuestOutput {
    std::string standard_output;
    std::string standard_error;
};

/// Removes its container and storage at the end, whatever the test found.
class Guest {
  public:
    explicit Guest(const DesiredLease& lease, EngineFlavour flavour = EngineFlavour::podman,
                   const HostFacts& host = host_facts(), StorageKind kind = storage_kind_here())
        : engine(PodmanService::instance().socket()),
          storage(PodmanService::instance().folder() / "leases" / lease.lease_id) {
        const auto image = engine.find_image(lease.spec->image);
        REQUIRE(image);
        storage.make(kind, lease.spec->disk_bytes);
        profile = guest_profile(lease, *image, host, storage.inputs().string(), storage.outputs().string());
        id = engine.create(profile, flavour);
    }
    ~Guest() {
        try {
            engine.remove(id);
            storage.wipe();
        } catch (const std::exception& error) {
            WARN("the guest was not removed: " << error.what());
        }
    }
    Guest(const Guest&) = delete;
    Guest& operator=(const Guest&) = delete;

    void start() { engine.start(id); }

    ContainerInspection wait_for(ContainerState state) {
        std::optional<ContainerInspection> found;
        eventually("the container's state", [&] {
            found = engine.inspect(id);
            REQUIRE(found);
            return found->state == state;
        });
        return *found;
    }

    GuestOutput output(bool follow = false) {
        GuestOutput output;
        engine.logs(id, follow,
                    [&](LogStream stream, std::string_view data) {
                        (stream == LogStream::standard_error ? output.standard_error
                                                             : output.standard_output) += data;
                        return true;
                    },
                    {});
        return output;
    }

    /// Until the guest has written that to its standard output.
    void wait_for_output(const std::string& text) {
        eventually("the output " + text,
                   [&] { return output().standard_output.find(text) != std::string::npos; });
    }

    Engine engine;
    WorkingStorage storage;
    GuestProfile profile;
    std::string id;
};

}  // namespace fallow::agent::testing

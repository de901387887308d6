// A guest container made with the product's own profile, storage and engine client, in a few words.
#pragma once

#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "agent/engine.hpp"
#include "agent/guest_profile.hpp"
#include "agent/storage.hpp"
#include "fallow/http_client.hpp"
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

/// Where the engine of tests keeps what it knows of containers that run.
inline const std::string& containers_folder() {
    static const std::string folder = Engine(PodmanService::instance().socket()).facts().containers_folder;
    return folder;
}

/// Long enough for a busy machine, and an end for a test that waits for what never comes.
inline constexpr std::int64_t patience_ms = 60'000;

/// Answered by the engine when the container does not run any more.
inline void wait_for_end(const std::string& container_id,
                         const PodmanService& podman = PodmanService::instance()) {
    sdk::HttpClientOptions options;
    options.base_url = "http://localhost";
    options.unix_socket_path = podman.socket();
    sdk::HttpRequest request;
    request.method = "POST";
    request.path = "/v1.41/containers/" + container_id + "/wait?condition=not-running";
    request.timeout_ms = patience_ms;
    REQUIRE(sdk::HttpClient(options).send(request).ok());
}

/// Stops what waits when the patience is over.
class Watchdog {
  public:
    [[nodiscard]] std::stop_token token() const { return over_.get_token(); }

  private:
    std::stop_source over_;
    std::mutex mutex_;
    std::condition_variable_any never_;
    std::jthread thread_{[this](std::stop_token stop) {
        std::unique_lock lock(mutex_);
        never_.wait_for(lock, stop, std::chrono::milliseconds(patience_ms), [] { return false; });
        if (!stop.stop_requested()) over_.request_stop();
    }};
};

struct GuestOutput {
    std::string standard_output;
    std::string standard_error;
};

/// Removes its container and storage at the end, whatever the test found.
class Guest {
  public:
    explicit Guest(const DesiredLease& lease, EngineFlavour flavour = EngineFlavour::podman,
                   const HostFacts& host = host_facts(), StorageKind kind = storage_kind_here())
        : podman(PodmanService::under(host.runtime)),
          engine(podman.socket()),
          storage(podman.folder() / "leases" / lease.lease_id) {
        const auto image = engine.find_image(lease.spec->image);
        REQUIRE(image);
        storage.make(kind, lease.spec->disk_bytes);
        profile = guest_profile(
            lease, *image, host,
            {storage.inputs().string(), storage.outputs().string(), storage.notices().string()});
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

    ContainerInspection wait_for_end() {
        testing::wait_for_end(id, podman);
        const auto found = engine.inspect(id);
        REQUIRE(found);
        REQUIRE(found->state == ContainerState::exited);
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
        const Watchdog watchdog;
        std::string seen;
        engine.logs(
            id, true,
            [&](LogStream stream, std::string_view data) {
                if (stream == LogStream::standard_output) seen += data;
                return seen.find(text) == seen.npos;
            },
            watchdog.token());
        REQUIRE(seen.find(text) != seen.npos);
    }

    PodmanService& podman;
    Engine engine;
    WorkingStorage storage;
    GuestProfile profile;
    std::string id;
};

}  // namespace fallow::agent::testing

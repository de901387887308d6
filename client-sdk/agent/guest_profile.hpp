// What a renter's container may do, as a value, and its two spellings for the container engines. Pure: the
// rules of DESIGN.md section 5 live here and nowhere else, and tests read the bodies that come out.
//
// Not allowed, whatever a job asks for: capabilities, new privileges, a writable root, swap, a network but
// the one behind the host's gate (network_gate.hpp), host mounts but the lease's own folders, devices but
// the leased cards, and variables that steer the dynamic loader or the GPU runtime.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/lease.hpp"

namespace fallow::agent {

/// The image's own wishes, of which a guest gets only the harmless ones.
struct ImageFacts {
    std::string id;
    std::vector<std::string> env;      ///< "NAME=value"
    std::vector<std::string> volumes;  ///< paths the image declares as volumes
    std::string user = {};  ///< whom its command runs as: "1000", "app", "app:staff"; empty: root
    std::vector<std::string> names = {};  ///< by which the engine knows it, with tags and with digests
};

struct HostFacts {
    std::string host_id;
    std::string runtime;         ///< "runc", "crun", "runsc", …; empty: the engine's default
    bool user_namespace = true;  ///< the engine can give each container a user namespace of its own
    std::int64_t nofile_max = 1024;
    std::int64_t nproc_max = 1024;
    std::string containers_folder = {};  ///< of the engine (EngineFacts); empty: not known
};

struct GuestProfile {
    std::string name;  ///< of the container
    std::string image;
    std::vector<std::string> command;
    std::map<std::string, std::string> env;
    std::map<std::string, std::string> labels;
    std::string user;  ///< empty: the image's, inside the user namespace
    bool user_namespace = true;
    std::string runtime;
    std::int64_t memory_bytes = 0;
    std::int64_t cpu_millis = 0;
    std::int64_t pids_max = 0;
    std::int64_t file_bytes_max = 0;
    std::int64_t nofile_max = 0;
    std::int64_t nproc_max = 0;
    std::string inputs_folder;   ///< on the host; read-only at /work/in
    std::string outputs_folder;  ///< on the host; writable at /work/out, limited by its own file system
    std::string notices_folder;  ///< on the host; read-only at /work/notice
    std::string
        resolv_conf;  ///< on the host; read-only at /etc/resolv.conf. Empty: no network, none needed
    std::string secrets_folder;  ///< on the host, in memory; read-only at /run/secrets; empty: none
    std::string hosts_file;      ///< on the host; read-only at /etc/hosts; empty: the engine's own
    std::int64_t shm_bytes = 0;  ///< of /dev/shm
    std::vector<std::string> hidden_volumes;  ///< paths covered with a tiny read-only tmpfs
    std::vector<std::string> cdi_devices;     ///< "nvidia.com/gpu=UUID"
};

/// Whether guests of that runtime have a network stack of their own, beside the kernel's in their network
/// namespace. Such a stack takes up the namespace's addresses when it likes, and lets nothing be reached
/// from there.
[[nodiscard]] bool has_own_network_stack(std::string_view runtime);

/// A name that steers the dynamic loader or the NVIDIA runtime (CVE-2025-23266 is one such).
[[nodiscard]] bool is_forbidden_variable(std::string_view name);

/// A lease's own folders on the host.
struct GuestFolders {
    std::string inputs;
    std::string outputs;
    std::string notices;
    std::string secrets = {};  ///< empty: the job names none
    std::string hosts = {};    ///< the file /etc/hosts; empty: the engine's own
};

[[nodiscard]] GuestProfile guest_profile(const DesiredLease& lease, const ImageFacts& image,
                                         const HostFacts& host, const GuestFolders& folders);

/// Body of POST /containers/create of the Docker Engine API, version 1.41.
[[nodiscard]] std::string docker_create_body(const GuestProfile& profile);
/// Body of POST /libpod/containers/create of Podman 4. Podman's Docker endpoint cannot name a CDI device.
[[nodiscard]] std::string podman_create_body(const GuestProfile& profile);

/// Who runs a guest when there is no user namespace.
inline constexpr std::int64_t guest_user_without_namespace = 65'534;

/// A user as the guest numbers it.
struct GuestUser {
    std::int64_t uid = 0;
    std::int64_t gid = 0;
};
/// Whether an image's user ("1000", "1000:1000", "app", "app:staff", or nothing for root) has to be looked
/// up in its /etc/passwd.
[[nodiscard]] bool is_named_user(std::string_view user);
/// `passwd`: the text of that file; only its lines count. Nothing when the name is not there.
[[nodiscard]] std::optional<GuestUser> user_in_guest(std::string_view user, std::string_view passwd);

inline constexpr std::string_view label_lease = "fallow.lease";
inline constexpr std::string_view label_epoch = "fallow.epoch";
inline constexpr std::string_view label_host = "fallow.host";

}  // namespace fallow::agent

#include "agent/guest_profile.hpp"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "agent/storage.hpp"

namespace fallow::agent {
namespace {

using nlohmann::json;

constexpr std::int64_t tmp_bytes_max = 256LL * 1024 * 1024;
constexpr std::int64_t shm_bytes_default = 64LL * 1024 * 1024;
constexpr std::int64_t user_namespace_ids = 65'536;
constexpr std::int64_t log_bytes_max = 64LL * 1024 * 1024;
constexpr std::int64_t cpu_period_us = 100'000;
constexpr const char* covered_options = "ro,nosuid,nodev,noexec,size=4k";

/// /tmp lies in memory and counts against the memory limit, so half of that is all it can usefully be.
std::int64_t tmp_bytes(const GuestProfile& profile) {
    return std::min(tmp_bytes_max, profile.memory_bytes / 2);
}

std::string variable_name(const std::string& entry) {
    return entry.substr(0, entry.find('='));
}

struct UlimitRow {
    const char* docker_name;
    const char* podman_name;
    std::int64_t value;
};

std::vector<UlimitRow> ulimits(const GuestProfile& profile) {
    return {{"nofile", "nofile", profile.nofile_max},
            {"nproc", "nproc", profile.nproc_max},
            {"fsize", "fsize", profile.file_bytes_max},
            {"core", "core", 0},
            {"memlock", "memlock", 64 * 1024}};
}

json podman_mounts(const GuestProfile& profile) {
    const auto tmpfs = [](const std::string& path, const std::vector<std::string>& options) {
        return json{{"destination", path}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", options}};
    };
    const auto bind = [](const char* path, const std::string& source, const char* mode) {
        const std::vector<std::string> options = {mode, "nosuid", "nodev", "rprivate", "bind"};
        return json{{"destination", path}, {"type", "bind"}, {"source", source}, {"options", options}};
    };
    json mounts = json::array();
    mounts.push_back(
        tmpfs("/tmp", {"rw", "nosuid", "nodev", "size=" + std::to_string(tmp_bytes(profile))}));
    for (const std::string& path : profile.hidden_volumes)
        mounts.push_back(tmpfs(path, {"ro", "nosuid", "nodev", "noexec", "size=4k"}));
    mounts.push_back(bind("/work/in", profile.inputs_folder, "ro"));
    mounts.push_back(bind("/work/out", profile.outputs_folder, "rw"));
    mounts.push_back(bind("/work/notice", profile.notices_folder, "ro"));
    if (!profile.resolv_conf.empty()) mounts.push_back(bind("/etc/resolv.conf", profile.resolv_conf, "ro"));
    if (!profile.hosts_file.empty()) mounts.push_back(bind("/etc/hosts", profile.hosts_file, "ro"));
    if (!profile.secrets_folder.empty())
        mounts.push_back(bind("/run/secrets", profile.secrets_folder, "ro"));
    return mounts;
}

std::optional<std::int64_t> id_of(std::string_view digits) {
    constexpr std::int64_t id_max = 65'535;  // of a guest's namespace
    std::int64_t id = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), id);
    const bool is_good = error == std::errc() && end == digits.data() + digits.size() && id >= 0;
    return is_good && id <= id_max ? std::optional(id) : std::nullopt;
}

/// The fields of passwd(5): name, password, uid, gid, …
std::optional<GuestUser> find_user(std::string_view name, std::string_view passwd) {
    while (!passwd.empty()) {
        const std::string_view line = passwd.substr(0, passwd.find('\n'));
        passwd.remove_prefix(std::min(line.size() + 1, passwd.size()));
        std::vector<std::string_view> fields;
        for (std::size_t start = 0; start <= line.size();) {
            const std::size_t end = std::min(line.find(':', start), line.size());
            fields.push_back(line.substr(start, end - start));
            start = end + 1;
        }
        if (fields.size() < 4 || fields[0] != name) continue;
        const auto uid = id_of(fields[2]);
        const auto gid = id_of(fields[3]);
        if (uid && gid) return GuestUser{*uid, *gid};
    }
    return std::nullopt;
}

}  // namespace

bool is_named_user(std::string_view user) {
    const std::string_view name = user.substr(0, user.find(':'));
    return !name.empty() && !id_of(name);
}

std::optional<GuestUser> user_in_guest(std::string_view user, std::string_view passwd) {
    const std::size_t colon = user.find(':');
    const std::string_view name = user.substr(0, colon);
    if (name.empty()) return GuestUser{};
    // The group makes no difference to a file that its owner alone may read.
    if (const auto uid = id_of(name)) return GuestUser{*uid, 0};
    return find_user(name, passwd);
}

bool has_own_network_stack(std::string_view runtime) {
    return runtime == "runsc" || runtime == "kata";
}

bool is_forbidden_variable(std::string_view name) {
    return name.starts_with("LD_") || name.starts_with("NVIDIA_");
}

GuestProfile guest_profile(const DesiredLease& lease, const ImageFacts& image, const HostFacts& host,
                           const GuestFolders& folders) {
    const JobSpec& spec = *lease.spec;
    GuestProfile profile;
    profile.name = "fallow-" + lease.lease_id + "-" + std::to_string(lease.lease_epoch);
    profile.image = image.id.empty() ? spec.image : image.id;
    profile.command = spec.command;
    profile.labels = {{std::string(label_lease), lease.lease_id},
                      {std::string(label_epoch), std::to_string(lease.lease_epoch)},
                      {std::string(label_host), host.host_id}};
    profile.user_namespace = host.user_namespace;
    // Without a user namespace root inside would be root outside, so the image's own choice is overruled.
    const std::string nobody = std::to_string(guest_user_without_namespace);
    profile.user = host.user_namespace ? "" : nobody + ":" + nobody;
    profile.runtime = host.runtime;
    profile.memory_bytes = spec.memory_bytes;
    profile.cpu_millis = spec.cpu_millis;
    profile.pids_max = spec.pids_max;
    profile.file_bytes_max = spec.disk_bytes;
    profile.nofile_max = host.nofile_max;
    // The kernel counts processes per user; outside a user namespace that user is shared by all containers,
    // where the pids limit alone can bound one of them.
    profile.nproc_max = host.user_namespace ? std::min(host.nproc_max, spec.pids_max) : host.nproc_max;
    profile.inputs_folder = folders.inputs;
    profile.outputs_folder = folders.outputs;
    profile.notices_folder = folders.notices;
    profile.secrets_folder = folders.secrets;
    profile.hosts_file = folders.hosts;
    // It lies in memory and counts against the memory limit, like /tmp.
    profile.shm_bytes =
        spec.shm_bytes > 0 ? spec.shm_bytes : std::min(shm_bytes_default, spec.memory_bytes / 2);
    for (const std::string& entry : image.env) {
        // The engines merge the image's variables in; an empty value of ours takes the place of its own.
        if (const std::string name = variable_name(entry); is_forbidden_variable(name))
            profile.env[name] = "";
    }
    for (const auto& [name, value] : spec.env)
        if (!is_forbidden_variable(name)) profile.env[name] = value;
    for (const auto& [name, value] : lease.environment)
        profile.env[name] = value;
    profile.env["FALLOW_NOTICE_FILE"] = "/work/notice/" + std::string(notice_file);
    if (spec.checkpoint) profile.env["FALLOW_CHECKPOINT_DIR"] = "/work/out/" + spec.checkpoint->path;
    profile.env["FALLOW_RECLAIM_NOTICE_MS"] = std::to_string(lease.reclaim_notice_ms);
    profile.hidden_volumes = {"/run", "/var/tmp"};
    for (const std::string& path : image.volumes) {
        const bool ours =
            path == "/tmp" || path == "/run" || path == "/var/tmp" || path.starts_with("/work");
        if (!ours) profile.hidden_volumes.push_back(path);
    }
    for (const LeaseCard& card : lease.cards)
        if (is_given_to_guests(card.backend)) profile.cdi_devices.push_back("nvidia.com/gpu=" + card.uuid);
    return profile;
}

std::string docker_create_body(const GuestProfile& profile) {
    json env = json::array();
    for (const auto& [name, value] : profile.env)
        env.push_back(name + "=" + value);
    json limits = json::array();
    for (const UlimitRow& row : ulimits(profile))
        limits.push_back({{"Name", row.docker_name}, {"Soft", row.value}, {"Hard", row.value}});
    json tmpfs = {{"/tmp", "rw,nosuid,nodev,size=" + std::to_string(tmp_bytes(profile))}};
    for (const std::string& path : profile.hidden_volumes)
        tmpfs[path] = covered_options;
    json host = {
        {"NetworkMode", "none"},
        {"ReadonlyRootfs", true},
        {"CapDrop", {"ALL"}},
        {"SecurityOpt", {"no-new-privileges"}},
        {"Privileged", false},
        {"Memory", profile.memory_bytes},
        {"MemorySwap", profile.memory_bytes},
        {"PidsLimit", profile.pids_max},
        {"NanoCpus", profile.cpu_millis * 1'000'000},
        {"Ulimits", limits},
        {"Tmpfs", tmpfs},
        {"ShmSize", profile.shm_bytes},
        {"IpcMode", "private"},
        {"Binds",
         {profile.inputs_folder + ":/work/in:ro", profile.outputs_folder + ":/work/out:rw",
          profile.notices_folder + ":/work/notice:ro"}},
        {"LogConfig", {{"Type", "json-file"}, {"Config", {{"max-size", "64m"}, {"max-file", "1"}}}}},
        {"RestartPolicy", {{"Name", "no"}}}};
    if (!profile.secrets_folder.empty())
        host["Binds"].push_back(profile.secrets_folder + ":/run/secrets:ro");
    if (profile.user_namespace) host["UsernsMode"] = "auto:size=" + std::to_string(user_namespace_ids);
    if (!profile.runtime.empty()) host["Runtime"] = profile.runtime;
    if (!profile.cdi_devices.empty())
        host["DeviceRequests"] = {{{"Driver", "cdi"}, {"DeviceIDs", profile.cdi_devices}}};
    json body = {{"Image", profile.image},
                 {"Env", env},
                 {"Labels", profile.labels},
                 {"User", profile.user},
                 {"WorkingDir", "/tmp"},
                 {"Hostname", "job"},
                 {"Tty", false},
                 {"OpenStdin", false},
                 {"NetworkDisabled", true},
                 {"Healthcheck", {{"Test", {"NONE"}}}},
                 {"HostConfig", host}};
    if (!profile.command.empty()) body["Cmd"] = profile.command;
    return body.dump();
}

std::string podman_create_body(const GuestProfile& profile) {
    json limits = json::array();
    for (const UlimitRow& row : ulimits(profile))
        limits.push_back({{"type", row.podman_name}, {"soft", row.value}, {"hard", row.value}});
    json devices = json::array();
    for (const std::string& name : profile.cdi_devices)
        devices.push_back({{"path", name}});
    const std::int64_t quota = profile.cpu_millis * cpu_period_us / 1000;
    json body = {{"name", profile.name},
                 {"image", profile.image},
                 {"env", profile.env},
                 {"env_host", false},
                 {"httpproxy", false},
                 {"labels", profile.labels},
                 {"user", profile.user},
                 {"work_dir", "/tmp"},
                 {"hostname", "job"},
                 {"netns", {{"nsmode", "none"}}},
                 {"ipcns", {{"nsmode", "private"}}},
                 {"read_only_filesystem", true},
                 {"cap_drop", {"ALL"}},
                 {"no_new_privileges", true},
                 {"privileged", false},
                 {"image_volume_mode", "ignore"},
                 {"shm_size", profile.shm_bytes},
                 {"mounts", podman_mounts(profile)},
                 {"devices", devices},
                 {"r_limits", limits},
                 {"log_configuration", {{"driver", "k8s-file"}, {"size", log_bytes_max}}},
                 {"healthconfig", {{"Test", {"NONE"}}}},
                 {"resource_limits",
                  {{"memory", {{"limit", profile.memory_bytes}, {"swap", profile.memory_bytes}}},
                   {"pids", {{"limit", profile.pids_max}}},
                   {"cpu", {{"quota", quota}, {"period", cpu_period_us}}}}}};
    if (profile.user_namespace) {
        // The mode alone is taken without an error and without an effect: Podman's own client sends the
        // mapping.
        body["userns"] = {{"nsmode", "auto"}};
        body["idmappings"] = {{"AutoUserNs", true}, {"AutoUserNsOpts", {{"Size", user_namespace_ids}}}};
    }
    if (!profile.runtime.empty()) body["oci_runtime"] = profile.runtime;
    if (!profile.command.empty()) body["command"] = profile.command;
    return body.dump();
}

}  // namespace fallow::agent

// A client of the container engine on this host: Docker, or Podman's service, over a unix socket. It
// carries out single acts and reports what is; it decides nothing.
#pragma once

#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "agent/engine_line.hpp"
#include "agent/runtime.hpp"
#include "agent/transfer_progress.hpp"

namespace fallow::agent {

enum class EngineFlavour { docker, podman };

struct EngineFacts {
    EngineFlavour flavour = EngineFlavour::docker;
    std::string name;  ///< "podman 4.3.1", "docker 24.0.7"
    // Podman's alone
    std::string runtime;            ///< what its service runs every container under, "runc" or "crun"
    std::string containers_folder;  ///< where it keeps what it knows of those that run, a folder each
    std::string images_file;        ///< what it knows of its images; replaced whole with each change
};

/// One thread at a time, like the HTTP client below it. Everything throws EngineError or
/// sdk::TransportError.
class Engine {
  public:
    explicit Engine(std::string socket_path);

    [[nodiscard]] EngineFacts facts();
    /// All containers of leases of that host, whatever their state. Several agents may share an engine.
    [[nodiscard]] std::vector<ContainerSeen> list(const std::string& host_id);

    [[nodiscard]] std::optional<ImageFacts> find_image(const std::string& reference);
    /// `registry_auth` as registry_login.hpp makes it; empty: as the host is set up.
    void pull(const std::string& reference, std::stop_token stop, const std::string& registry_auth = {},
              const OnProgress& on_progress = {});
    /// Docker's alone: asks the registry for the image's manifest and takes nothing that is here for an
    /// answer, as its pull of a digest does. Throws EngineError when the registry does not give it.
    void ask_registry(const std::string& reference, std::stop_token stop,
                      const std::string& registry_auth = {});
    /// Gives an image that is here a further name.
    void name_image(const std::string& id, const std::string& repository, const std::string& tag);

    /// The first id of this host that the container's users are mapped to; 0 without a user namespace.
    [[nodiscard]] HostUser user_base(const std::string& id);
    /// A small file of a container, running or not; nothing when it is not there or no regular file.
    [[nodiscard]] std::optional<std::string> read_file(const std::string& id, const std::string& path);

    /// The container's id. One of that name that is there already is removed.
    [[nodiscard]] std::string create(const GuestProfile& profile, EngineFlavour flavour);
    /// Podman's alone: makes the container's namespaces without running anything in them.
    void prepare(const std::string& id);
    /// Podman's alone: the process that keeps them.
    [[nodiscard]] std::int64_t process_of(const std::string& id);
    void start(const std::string& id);
    [[nodiscard]] std::optional<ContainerInspection> inspect(const std::string& id);
    /// False when the container was not running.
    bool signal(const std::string& id, const char* signal_name);
    bool pause(const std::string& id);
    bool resume(const std::string& id);
    /// Kills and removes with its anonymous volumes. No error when it is not there.
    void remove(const std::string& id);

    /// The container's output from its beginning; with `follow` until it ends, without it what is there
    /// now.
    void logs(const std::string& id, bool follow, const LogDemuxer::OnData& on_data, std::stop_token stop);

  private:
    void ask_podman(EngineFacts& facts);
    bool act(const std::string& id, const std::string& verb);
    [[nodiscard]] sdk::HttpResponse look_at(const std::string& path);

    EngineLine line_;
};

}  // namespace fallow::agent

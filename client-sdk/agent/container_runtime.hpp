// Guests as containers of this host's engine.
#pragma once

#include <memory>
#include <utility>

#include "agent/engine.hpp"
#include "agent/engine_exec.hpp"
#include "agent/image_book.hpp"
#include "agent/network_gate.hpp"
#include "agent/private_images.hpp"
#include "agent/process_watch.hpp"
#include "agent/runtime.hpp"

namespace fallow::agent {

class ContainerRuntime final : public Runtime {
  public:
    /// Without a gate, guests have no network. Without private images, no login is used. Without a book of
    /// images, the engine is asked each time. Without held starts, a guest is connected in one request and
    /// started in another.
    ContainerRuntime(std::string socket_path, EngineFlavour flavour, HostFacts host,
                     std::shared_ptr<NetworkGate> gate = nullptr,
                     std::shared_ptr<PrivateImages> private_images = nullptr,
                     std::shared_ptr<ImageBook> images = nullptr,
                     std::shared_ptr<HeldStarts> held_starts = nullptr);

    [[nodiscard]] std::vector<ContainerSeen> list() override;
    [[nodiscard]] ImageFacts obtain_image(const std::string& reference, std::stop_token stop) override;
    [[nodiscard]] ImageFacts obtain_private_image(const std::string& reference,
                                                  const std::string& registry_auth,
                                                  std::stop_token stop) override;
    void watch_pulls(OnProgress on_progress) override { on_pull_ = std::move(on_progress); }
    [[nodiscard]] std::string create(const DesiredLease& lease, const ImageFacts& image,
                                     const GuestFolders& folders, std::stop_token stop) override;
    void connect(const std::string& id, const TrafficTerms& terms) override;
    [[nodiscard]] HostUser user_of(const std::string& id, const ImageFacts& image) override;
    [[nodiscard]] bool connects_at_start() const override;
    [[nodiscard]] std::optional<ContainerInspection> start(const std::string& id, const TrafficTerms& terms,
                                                           const std::function<void()>& connected) override;
    [[nodiscard]] std::optional<std::int64_t> run_in(const std::string& id,
                                                     const std::vector<std::string>& command,
                                                     std::int64_t timeout_ms,
                                                     std::stop_token stop) override;
    [[nodiscard]] std::optional<ContainerInspection> inspect(const std::string& id) override {
        return engine_.inspect(id);
    }
    bool signal(const std::string& id, const char* signal_name) override {
        return engine_.signal(id, signal_name);
    }
    bool resume(const std::string& id) override { return engine_.resume(id); }
    void remove(const std::string& id) override { engine_.remove(id); }
    void logs(const std::string& id, bool follow, const LogDemuxer::OnData& on_data,
              std::stop_token stop) override {
        engine_.logs(id, follow, on_data, stop);
    }
    void ready_network(const TrafficTerms& terms) override {
        if (gate_) gate_->make_ready(terms);
    }
    void meter_traffic(const TrafficTerms& terms) override {
        if (gate_) gate_->meter(terms);
    }
    [[nodiscard]] std::optional<GuestTraffic> traffic_of(const std::string& lease_id) override {
        return gate_ ? gate_->traffic_of(lease_id) : std::nullopt;
    }
    void forget_traffic(const std::string& lease_id) override {
        if (gate_) gate_->forget(lease_id);
    }
    [[nodiscard]] bool reaches_guests() const override { return true; }
    [[nodiscard]] bool is_here(const std::vector<LeaseCard>&) const override { return true; }

  private:
    [[nodiscard]] bool is_private(const ImageFacts& image) const;
    void pull(const std::string& reference, const std::string& registry_auth, std::stop_token stop);
    [[nodiscard]] std::optional<ImageFacts> find_image(const std::string& reference);
    [[nodiscard]] ImageFacts pulled_image(const std::string& reference);
    [[nodiscard]] std::optional<ContainerInspection> start_held(ProcessWatch& process,
                                                                const TrafficTerms& terms,
                                                                const std::function<void()>& connected);
    [[noreturn]] void refuse_network(const std::string& id, const std::string& problem);

    Engine engine_;
    EngineExec exec_;
    EngineFlavour flavour_;
    HostFacts host_;
    std::shared_ptr<NetworkGate> gate_;
    std::shared_ptr<PrivateImages> private_images_;
    std::shared_ptr<ImageBook> images_;
    std::shared_ptr<HeldStarts> held_starts_;
    OnProgress on_pull_;
    /// The guest that this object has made, or connected: then its process is there before it is started.
    struct Made {
        std::string id;
        std::int64_t pid = 0;
    };
    Made made_;
};

/// The OCI runtime that guests run under; `wanted` empty: what the engine takes. Throws RuntimeError where
/// it is another than is wanted.
[[nodiscard]] std::string runtime_of(const EngineFacts& facts, const std::string& wanted);

/// What the engine of this host is, and how guests are run with it.
struct ContainersHere {
    std::string name;             ///< "podman 4.3.1"
    std::string runtime;          ///< the OCI runtime that guests run under
    bool user_namespace = false;  ///< guests get one
    bool has_network = false;     ///< guests get one, behind the gate
    ConnectRuntime connect;
};
struct ContainerOptions {
    std::string host_id;
    std::string socket_path;
    std::string runtime;         ///< empty: what the engine takes
    bool user_namespace = true;  ///< if the engine can
    std::shared_ptr<NetworkGate> gate = nullptr;
    std::shared_ptr<PrivateImages> private_images = nullptr;
};
/// Throws EngineError or sdk::TransportError while the engine does not answer, and RuntimeError where it
/// runs guests under another runtime than is wanted.
[[nodiscard]] ContainersHere containers_here(const ContainerOptions& wanted);

}  // namespace fallow::agent

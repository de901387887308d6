// The part of Agent that finds what runs its guests, and takes over what was there before it.
#include <spdlog/spdlog.h>

#include <filesystem>
#include <memory>
#include <utility>

#include "agent/agent.hpp"
#include "agent/container_runtime.hpp"
#include "agent/gang_tunnels.hpp"

namespace fallow::agent {
namespace {

constexpr std::int64_t retry_ms = 1000;

}  // namespace

/// Made before the first guest needs it. Where it cannot be, each job's start fails and says why.
void Agent::open_gate() {
    try {
        gate_->open();
        if (!std::exchange(gate_is_open_, true)) spdlog::info("guests have a network now");
    } catch (const std::exception& error) {
        if (!std::exchange(gate_is_open_, false)) return;
        spdlog::error(
            "no guest will start, because its network cannot be closed: {}. Install nftables and iproute2, "
            "or say `egress = \"none\"` below [network] in the file of --policy",
            error.what());
    }
}

/// Where it cannot be, the inventory says so, and no gang comes that needs it.
void Agent::open_gangs() {
    if (options_.gang_endpoint.empty() || gangs_) return;
    if (!guests_have_network_)
        return spdlog::error(
            "gangs have no private network here although --gang-endpoint is given: it takes guests that "
            "have a network");
    GangOptions options;
    options.endpoint = *parse_gang_endpoint(options_.gang_endpoint);
    for (const std::string& network : options_.gang_peers)
        options.opened.push_back(*parse_destination(network));
    options.may_be_of_kernel = !options_.gang_wireguard_go;
    try {
        auto made = std::make_shared<GangTunnels>(std::move(options));
        made->check();
        gangs_ = std::move(made);
        spdlog::info("gangs have private networks at {}, by {}", options_.gang_endpoint,
                     gangs_->is_of_kernel() ? "the kernel" : "wireguard-go");
    } catch (const std::exception& error) {
        spdlog::error("gangs have no private network here: {}", error.what());
    }
}

void Agent::close_gate() {
    if (gate_) gate_->close();
}

void Agent::describe_guests(HostDescription& host) {
    if (guests_have_network_) open_gate();  // or put in order again, where it is
    host.guest_network = guests_have_network_ && gate_is_open_ ? "internet" : "none";
    host.gang_network = gangs_ != nullptr && gate_is_open_;
    const StorageKind storage = options_.storage.value_or(storage_kind_here());
    host.working_storage = cluster_ ? "wiped" : end_of_storage(storage);
}

/// Throws while it does not answer.
ConnectRuntime Agent::reach_runtime() {
    if (cluster_) return reach_cluster();
    const EgressPolicy network = policy_ ? policy_->network : EgressPolicy{};
    if (network.has_network && !gate_)
        gate_ = std::make_shared<NetworkGate>(GateOptions{
            .folder = std::filesystem::path(options_.state_folder) / "network", .policy = network});
    ContainersHere here =
        containers_here({.host_id = host_id_,
                         .socket_path = options_.engine_socket,
                         .runtime = options_.runtime,
                         .user_namespace = options_.user_namespace,
                         .gate = gate_,
                         .private_images = std::make_shared<PrivateImages>(
                             std::filesystem::path(options_.state_folder) / "private-images")});
    engine_name_ = std::move(here.name);
    runtime_name_ = std::move(here.runtime);
    guests_have_network_ = here.has_network;
    if (guests_have_network_) open_gate();
    open_gangs();
    return std::move(here.connect);
}

void Agent::reach_engine(std::stop_token stop) {
    while (!stop.stop_requested()) {
        try {
            connect_ = reach_runtime();
            runtime_ = connect_();
            spdlog::info("the container engine is {}, with {}", engine_name_, runtime_name_);
            return;
        } catch (const std::exception& error) {
            spdlog::warn("the container engine cannot be used: {}", error.what());
            wait(retry_ms, stop);
        }
    }
}

/// A cluster gives a lease any of a node's cards, so which one it had is not known here.
std::unique_ptr<CardScrubber> Agent::make_scrubber() {
    if (cluster_) return nullptr;
    return std::make_unique<CardScrubber>(
        ScrubberParts{.file = used_cards_file(options_.state_folder),
                      .connect = [this] { return std::make_unique<CardProbe>(options_.probe); },
                      .cards = [this] { return known_cards(); },
                      .wake = [this] { wake(); },
                      .offers_changed = [this] { claims_changed(); }});
}

void Agent::take_over() {
    scrubber_ = make_scrubber();
    card_use_ = std::make_unique<CardUse>([this] { return known_cards(); });
    context_ = std::make_unique<TaskContext>(TaskContext{
        .state = state_,
        .signing_key = signing_key_,
        .guard = guard_,
        .connect = connect_,
        .storage = options_.storage.value_or(storage_kind_here()),
        .boot_id = boot_id_,
        .server_unix_ms = [this] { return server_unix_ms(); },
        .wake = [this] { wake(); },
        .card_use = [this](const std::vector<LeaseCard>& cards) { return card_use_->percent(cards); },
        .gangs = gangs_,
        .before_guest =
            [this](const std::vector<LeaseCard>& cards) {
                if (scrubber_) scrubber_->note_guest(cards);
            }});
    tunnels_ = std::make_unique<TunnelDesk>(
        TunnelContext{.state = state_,
                      .engine_socket = cluster_ ? std::string() : options_.engine_socket,
                      .runtime = runtime_name_,
                      .server_unix_ms = [this] { return server_unix_ms(); },
                      .find = [this](const std::string& lease_id) { return find_lease(lease_id); }});
    std::vector<std::string> unreadable;
    for (LeaseRecord& record : state_.load_records(unreadable)) {
        spdlog::info("lease {} is taken over", record.desired.lease_id);
        // Also of an agent before, which did not note it.
        if (record.started && !record.removed) context_->before_guest(record.desired.cards);
        const std::string id = record.desired.lease_id;
        auto task = std::make_shared<LeaseTask>(*context_, std::move(record));
        const std::lock_guard lock(mutex_);
        tasks_[id] = std::move(task);
    }
    for (const std::string& path : unreadable)
        spdlog::error("the record {} cannot be read", path);
}

}  // namespace fallow::agent

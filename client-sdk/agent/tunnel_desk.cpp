#include "agent/tunnel_desk.hpp"

#include <spdlog/spdlog.h>

#include <csignal>

namespace fallow::agent {
namespace {

constexpr std::size_t tunnels_max = 64;
constexpr std::size_t seen_max = 4096;

/// A peer that has gone is an error of the write in this thread, not the end of the program.
void keep_pipe_signal_away() {
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
}

}  // namespace

void TunnelDesk::look(const std::stop_token& stop) {
    try {
        served_.remove_if([](const Served& served) { return served.is_over->load(); });
        for (const WantedTunnel& tunnel : TunnelLink(context_.state, context_.server_unix_ms).wanted(stop))
            if (!seen_.contains(tunnel.tunnel_id)) meet(tunnel);
    } catch (const std::exception& error) {
        spdlog::warn("it is not known whether a renter waits for a tunnel: {}", error.what());
    }
}

void TunnelDesk::meet(const WantedTunnel& tunnel) {
    if (served_.size() >= tunnels_max)
        return spdlog::warn("tunnel {} is left alone: {} are open", tunnel.tunnel_id, served_.size());
    seen_.insert(tunnel.tunnel_id);
    seen_in_order_.push_back(tunnel.tunnel_id);
    if (seen_in_order_.size() > seen_max) {
        seen_.erase(seen_in_order_.front());
        seen_in_order_.pop_front();
    }
    const auto is_over = std::make_shared<std::atomic<bool>>(false);
    served_.push_back({is_over, std::jthread([this, tunnel, is_over](const std::stop_token& stop) {
                           keep_pipe_signal_away();
                           serve_tunnel(context_, tunnel, stop);
                           is_over->store(true);
                       })});
}

}  // namespace fallow::agent

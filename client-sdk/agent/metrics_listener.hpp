// Answers `GET /metrics` over plain HTTP on a loopback address, for a Prometheus or a node's own collector
// on this host. Nobody else can reach it: guests have a network namespace of their own. One request at a
// time, each with a deadline; no keep-alive.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "guard/descriptor.hpp"

namespace fallow::agent {

class MetricsListener {
  public:
    using Page = std::function<std::string()>;

    /// "127.0.0.1:9400", "[::1]:9400", "localhost:9400"; port 0 takes a free one. Throws std::runtime_error
    /// for anything that is not loopback, and when the address is taken. `page` is called from the
    /// listener's thread.
    MetricsListener(const std::string& address, Page page);
    ~MetricsListener();
    MetricsListener(const MetricsListener&) = delete;
    MetricsListener& operator=(const MetricsListener&) = delete;

    [[nodiscard]] std::uint16_t port() const { return port_; }

  private:
    void run();
    void serve(const guard::Descriptor& peer);

    Page page_;
    guard::Descriptor listener_;
    guard::Descriptor stop_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

}  // namespace fallow::agent

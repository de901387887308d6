// A connection to a port inside a container, whose network is its own loopback and nothing else.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::agent {

class ContainerPort {
  public:
    /// To 127.0.0.1 in the network namespace of process `pid`. Needs to be root.
    ContainerPort(std::int64_t pid, int port);
    ~ContainerPort();
    ContainerPort(const ContainerPort&) = delete;
    ContainerPort& operator=(const ContainerPort&) = delete;

    /// -1: there is none, and problem() says why.
    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] const std::string& problem() const { return problem_; }

  private:
    void connect_from_within(std::int64_t pid, int port);

    int descriptor_ = -1;
    std::string problem_;
};

}  // namespace fallow::agent

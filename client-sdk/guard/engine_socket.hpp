// The container engine as the guard uses it where no control group is found: three verbs of the Docker
// Engine API (Podman speaks it, too) over a unix socket, each with a deadline, and nothing read but the
// status. The agent has a client of its own; this one needs neither TLS nor JSON nor a thread.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::guard {

enum class EngineAnswer {
    done,     ///< it did it
    refused,  ///< it answered, and did not do it: no such container, not running, not possible
    silent,   ///< no answer within the time
};

class EngineSocket {
  public:
    explicit EngineSocket(std::string path) : path_(std::move(path)) {}

    EngineAnswer pause(const std::string& container_id, std::int64_t timeout_ms) const;
    EngineAnswer unpause(const std::string& container_id, std::int64_t timeout_ms) const;
    EngineAnswer kill(const std::string& container_id, std::int64_t timeout_ms) const;

  private:
    [[nodiscard]] EngineAnswer post(const std::string& target, std::int64_t timeout_ms) const;

    std::string path_;
};

}  // namespace fallow::guard

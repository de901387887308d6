// The socket `owner.sock` of the state folder, over which the owner's commands reach the running agent.
// Only the user that the agent runs as, and root, may speak there. A connection is one line of JSON each
// way.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>

#include "guard/descriptor.hpp"

namespace fallow::agent {

class OwnerSocket {
  public:
    /// The answer to a line, of a peer whose process is told by the kernel. Called from one thread.
    using Answer = std::function<std::string(const std::string& line, std::int64_t peer_pid)>;

    /// Precondition: nobody else uses the state folder.
    OwnerSocket(const std::filesystem::path& state_folder, Answer answer);
    ~OwnerSocket();
    OwnerSocket(const OwnerSocket&) = delete;
    OwnerSocket& operator=(const OwnerSocket&) = delete;

  private:
    void run();
    void serve(const guard::Descriptor& peer);

    const Answer answer_;
    guard::Descriptor listener_;
    guard::Descriptor stop_;  ///< readable once the thread is to end
    std::thread thread_;
};

/// Sends a line to the agent that runs with the state folder, and waits for its answer. Throws
/// std::runtime_error with a sentence for people.
[[nodiscard]] std::string ask_agent(const std::filesystem::path& state_folder, const std::string& line);

}  // namespace fallow::agent

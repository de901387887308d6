// Network namespaces: entered by threads of their own, so that the caller stays where it is.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>

namespace fallow::agent {

/// One that is held open. Throws std::system_error when it cannot be opened.
class NetworkSpace {
  public:
    explicit NetworkSpace(const std::string& path);
    ~NetworkSpace();
    NetworkSpace(const NetworkSpace&) = delete;
    NetworkSpace& operator=(const NetworkSpace&) = delete;
    [[nodiscard]] int number() const { return number_; }

  private:
    int number_;
};

/// Of a process of this host.
[[nodiscard]] std::string network_path_of(std::int64_t pid);

/// A thread has a network namespace of its own, and what it starts has the same. What `act` throws is
/// thrown here.
void in_thread(const std::function<void()>& act);

/// The calling thread's own.
inline constexpr int this_network = -1;
/// In a namespace that is held open, or in this one.
void within(int network, const std::function<void()>& act);

/// Of the calling thread's namespace.
[[nodiscard]] std::set<std::string> interface_names();

}  // namespace fallow::agent

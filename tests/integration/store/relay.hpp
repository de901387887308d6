// A relay between a client and PostgreSQL's socket that can lose the answer to a COMMIT: the one failure
// after which only the journal knows what happened.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace fallow::test {

class Relay {
  public:
    /// Relays any number of connections to the server of `url`.
    explicit Relay(const std::string& url);
    ~Relay();
    Relay(const Relay&) = delete;
    Relay& operator=(const Relay&) = delete;

    /// The same database, through this relay.
    [[nodiscard]] const std::string& url() const { return url_; }
    /// From now on the answer to the next COMMIT is awaited, swallowed, and the connection cut.
    void lose_next_commit_answer() { armed_ = true; }

  private:
    void serve();
    void relay(int client);
    void relay_between(int client, int server);

    std::string folder_;
    std::string target_;
    std::string url_;
    int listener_ = -1;
    int stop_[2] = {-1, -1};
    std::atomic<bool> armed_ = false;
    std::thread accepting_;
    std::vector<std::thread> relaying_;  ///< touched by the accepting thread until that has ended
};

}  // namespace fallow::test

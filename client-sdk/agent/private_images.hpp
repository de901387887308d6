// Which repositories this host has pulled from with a renter's login. Their images lie in the engine for
// all to use, and only their registry can say who may: so each lease that names one asks it anew.
#pragma once

#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <string>

namespace fallow::agent {

/// Any thread. One object for each file. What is in the file holds for good: an agent that was killed in
/// the middle of a pull knows at its next start what may have arrived.
class PrivateImages {
  public:
    explicit PrivateImages(std::filesystem::path file);

    /// Before a pull with a login; on disk when it returns. Throws std::runtime_error when the host
    /// remembers as many as it can.
    void begin(const std::string& repository);
    /// After it. Unless something may have arrived, the repository is forgotten if it was unknown before:
    /// a login that is refused makes no public image private.
    void end(const std::string& repository, bool may_have_arrived);

    [[nodiscard]] bool holds(const std::string& repository) const;

  private:
    void save() const;

    std::filesystem::path file_;
    mutable std::mutex mutex_;
    std::set<std::string> known_;
    std::map<std::string, int> pulling_;  ///< how many pulls of each are under way
};

}  // namespace fallow::agent

// The stream in which a container engine tells of a pull: JSON objects, one a line, of Docker's API, which
// Podman writes as well. Reads how far the pull is, and the error that may be one of the lines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "agent/transfer_progress.hpp"

namespace fallow::agent {

class PullStream {
  public:
    /// Takes the next octets, wherever they break off. True when the progress is another one now.
    bool feed(std::string_view octets);
    /// For a last line without an end.
    void finish();

    /// Of the layers that the engine has named. Their sum is known once each of them has begun.
    [[nodiscard]] TransferProgress progress() const;
    /// Empty: none was told.
    [[nodiscard]] const std::string& error() const { return error_; }

  private:
    struct Layer {
        std::int64_t current = 0;
        std::int64_t total = 0;  ///< 0: not known
        bool is_here = false;    ///< all of it
    };
    void read_line();
    void read_status(const std::string& id, std::string_view status, std::int64_t current,
                     std::int64_t total);

    std::string line_;
    bool is_too_long_ = false;  ///< the line that is under way; it is left out
    std::map<std::string, Layer> layers_;
    std::string error_;
    TransferProgress last_;
};

}  // namespace fallow::agent

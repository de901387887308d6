// What the engine has said of images, for as long as it is true. Podman keeps what it knows of its images
// in a file that it replaces whole with each change: while the file is the same, it need not be asked
// again.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "agent/guest_profile.hpp"

namespace fallow::agent {

/// Any thread.
class ImageBook {
  public:
    /// Of the engine (EngineFacts); empty, or no file: nothing is kept.
    explicit ImageBook(std::filesystem::path images_file) : file_(std::move(images_file)) {}

    /// What `ask` says of the image, or said of it. What it throws is passed on; that an image is not there
    /// is asked each time.
    [[nodiscard]] std::optional<ImageFacts> find(const std::string& reference,
                                                 const std::function<std::optional<ImageFacts>()>& ask);

  private:
    struct Version {
        dev_t device = 0;
        ino_t inode = 0;
        off_t bytes = 0;
        std::int64_t changed_ns = 0;
        friend bool operator==(const Version&, const Version&) = default;
    };
    [[nodiscard]] std::optional<Version> version() const;

    std::filesystem::path file_;
    std::mutex mutex_;
    Version version_;
    std::map<std::string, ImageFacts> known_;  ///< by reference, of that version
};

}  // namespace fallow::agent

// A file beside its target, which takes the target's name once it is whole and goes away unless it is kept.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace fallow::sdk {

/// Everything throws std::system_error.
class PartialFile {
  public:
    /// A fresh one.
    explicit PartialFile(const std::filesystem::path& target);
    /// What an earlier try at the same content has left; a fresh one when there is nothing of our own, or
    /// another process is at it.
    PartialFile(const std::filesystem::path& target, std::string_view sha256);
    ~PartialFile();
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;

    [[nodiscard]] std::int64_t bytes() const;
    [[nodiscard]] std::string read(std::int64_t offset, std::size_t bytes) const;
    /// At its end.
    void write(std::string_view bytes);
    /// Nothing stays behind the first so many.
    void cut(std::int64_t bytes);

    void keep_as(const std::filesystem::path& target);
    /// For another try. Only of one that was made for a content.
    void leave();

  private:
    [[nodiscard]] bool open_left(const std::filesystem::path& target, std::string_view sha256);
    void open_fresh(const std::filesystem::path& target);

    std::string path_;
    int descriptor_ = -1;
};

}  // namespace fallow::sdk

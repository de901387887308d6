// The server's data folder: what is private in it, what others may read, and that one server at a time uses
// it.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace fallow::api {

class DataFolder {
  public:
    /// Makes the folder (0700) and locks it; throws when another server has it.
    explicit DataFolder(std::filesystem::path path);
    ~DataFolder();
    DataFolder(const DataFolder&) = delete;
    DataFolder& operator=(const DataFolder&) = delete;

    [[nodiscard]] std::filesystem::path file(std::string_view name) const { return path_ / name; }
    /// Appears and changes whole; 0600.
    void write_private(std::string_view name, std::string_view text) const;
    /// 0644.
    void write_public(std::string_view name, std::string_view text) const;
    void remove(std::string_view name) const;

  private:
    std::filesystem::path path_;
    int lock_ = -1;
};

}  // namespace fallow::api

#include "api/data_folder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "auth/files.hpp"

namespace fallow::api {

DataFolder::DataFolder(std::filesystem::path path) : path_(std::filesystem::absolute(path)) {
    std::filesystem::create_directories(path_.parent_path());
    if (mkdir(path_.c_str(), 0700) != 0 && errno != EEXIST)
        throw std::system_error(errno, std::generic_category(),
                                "cannot make the data folder " + path_.string());
    const std::string name = file("lock").string();
    lock_ = open(name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (lock_ < 0) throw std::system_error(errno, std::generic_category(), "cannot open " + name);
    if (flock(lock_, LOCK_EX | LOCK_NB) == 0) return;
    close(lock_);
    throw std::runtime_error(
        fmt::format("another server uses the data folder {}: stop it, or choose another with "
                    "--data",
                    path_.string()));
}

DataFolder::~DataFolder() {
    close(lock_);
}

void DataFolder::write_private(std::string_view name, std::string_view text) const {
    auth::write_file(file(name), text, auth::private_mode);
}

void DataFolder::write_public(std::string_view name, std::string_view text) const {
    auth::write_file(file(name), text, auth::public_mode);
}

void DataFolder::remove(std::string_view name) const {
    std::filesystem::remove(file(name));
}

}  // namespace fallow::api

#include "agent/volume_key.hpp"

#include <fcntl.h>
#include <linux/fscrypt.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <string>
#include <system_error>

namespace fallow::agent {
namespace {

constexpr std::size_t key_bytes = 64;

[[noreturn]] void fail(const std::filesystem::path& path) {
    throw std::system_error(errno, std::generic_category(), "cannot encrypt " + path.string());
}

class Folder {
  public:
    explicit Folder(const std::filesystem::path& path)
        : number_(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
        if (number_ < 0) fail(path);
    }
    ~Folder() { ::close(number_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    [[nodiscard]] int number() const { return number_; }

  private:
    int number_;
};

/// The kernel's structure with the key behind it; wiped with its object.
class KeyRequest {
  public:
    KeyRequest() = default;
    ~KeyRequest() { ::explicit_bzero(octets_.data(), octets_.size()); }
    KeyRequest(const KeyRequest&) = delete;
    KeyRequest& operator=(const KeyRequest&) = delete;

    [[nodiscard]] fscrypt_add_key_arg& head() {
        return *reinterpret_cast<fscrypt_add_key_arg*>(octets_.data());
    }
    [[nodiscard]] unsigned char* key() { return octets_.data() + sizeof(fscrypt_add_key_arg); }

  private:
    alignas(
        fscrypt_add_key_arg) std::array<unsigned char, sizeof(fscrypt_add_key_arg) + key_bytes> octets_{};
};

}  // namespace

bool can_encrypt_folders() {
    return ::access("/sys/fs/ext4/features/encryption", F_OK) == 0;
}

void encrypt_folder(const std::filesystem::path& path) {
    const Folder folder(path);
    KeyRequest request;
    request.head().key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER;
    request.head().raw_size = key_bytes;
    if (::getrandom(request.key(), key_bytes, 0) != key_bytes) fail(path);
    if (::ioctl(folder.number(), FS_IOC_ADD_ENCRYPTION_KEY, &request.head()) != 0) fail(path);
    fscrypt_policy_v2 policy{};
    policy.version = FSCRYPT_POLICY_V2;
    policy.contents_encryption_mode = FSCRYPT_MODE_AES_256_XTS;
    policy.filenames_encryption_mode = FSCRYPT_MODE_AES_256_CTS;
    policy.flags = FSCRYPT_POLICY_FLAGS_PAD_32;
    std::memcpy(policy.master_key_identifier, request.head().key_spec.u.identifier,
                sizeof policy.master_key_identifier);
    if (::ioctl(folder.number(), FS_IOC_SET_ENCRYPTION_POLICY, &policy) != 0) fail(path);
}

void forget_key(const std::filesystem::path& path) {
    const int folder = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0) return;
    fscrypt_get_policy_ex_arg found{};
    found.policy_size = sizeof found.policy;
    if (::ioctl(folder, FS_IOC_GET_ENCRYPTION_POLICY_EX, &found) == 0 &&
        found.policy.version == FSCRYPT_POLICY_V2) {
        fscrypt_remove_key_arg request{};
        request.key_spec.type = FSCRYPT_KEY_SPEC_TYPE_IDENTIFIER;
        std::memcpy(request.key_spec.u.identifier, found.policy.v2.master_key_identifier,
                    sizeof request.key_spec.u.identifier);
        ::ioctl(folder, FS_IOC_REMOVE_ENCRYPTION_KEY, &request);
    }
    ::close(folder);
}

bool holds_encrypted_folders(const std::filesystem::path& image) {
    // The superblock begins at 1024; its incompatible features are a little-endian word at 0x60 of it.
    constexpr std::streamoff features_at = 1024 + 0x60;
    constexpr std::uint32_t encrypt = 0x10000;
    std::array<unsigned char, 4> word{};
    std::ifstream file(image, std::ios::binary);
    file.seekg(features_at);
    file.read(reinterpret_cast<char*>(word.data()), word.size());
    const std::uint32_t features = word[0] | std::uint32_t{word[1]} << 8U | std::uint32_t{word[2]} << 16U |
                                   std::uint32_t{word[3]} << 24U;
    return file && (features & encrypt) != 0;
}

}  // namespace fallow::agent

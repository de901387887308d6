#include "api/shared_keys.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <stdexcept>

#include "auth/base64.hpp"
#include "store/row_reader.hpp"
#include "store/secrets.hpp"
#include "store/transaction.hpp"

namespace fallow::api {
namespace {

/// Held while keys are looked for and made. A folder that cannot be written has its keys already.
class MakingLock {
  public:
    explicit MakingLock(const std::filesystem::path& file)
        : handle_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
        if (handle_ >= 0) flock(handle_, LOCK_EX);
    }
    ~MakingLock() {
        if (handle_ >= 0) close(handle_);
    }
    MakingLock(const MakingLock&) = delete;
    MakingLock& operator=(const MakingLock&) = delete;

  private:
    int handle_;
};

}  // namespace

std::filesystem::path secrets_key_file(const std::filesystem::path& folder, const std::string& named) {
    return named.empty() ? folder / "secrets.key" : std::filesystem::path(named);
}

SharedKeys open_shared_keys(const std::filesystem::path& folder, const std::string& secrets_key_file,
                            Time now) {
    if (std::filesystem::create_directories(folder))
        std::filesystem::permissions(folder, std::filesystem::perms::owner_all);
    const MakingLock lock(folder / "keys.lock");
    return {auth::CertificateAuthority::open(folder, now),
            auth::SigningKey::load_or_create(folder / "server_signing.key"),
            std::make_unique<auth::Vault>(api::secrets_key_file(folder, secrets_key_file))};
}

void require_secrets_keys(store::Connection& connection, const auth::Vault& vault) {
    const auto used = store::run_as(connection, store::Actor::engine(),
                                    [](store::Transaction& tx) { return store::secret_keys_in_use(tx); });
    for (const std::string& key : used)
        if (!vault.has_key(key))
            throw std::runtime_error(
                "secrets in the database are sealed under the key " + key +
                ", which is not here: give this server the others' secrets.key, or, if that key is lost "
                "for "
                "good, remove the rows of secrets with it in the database and have them set anew");
}

void require_same_keys(store::Connection& connection, const SharedKeys& keys) {
    const std::string authority = keys.authority.key_sha256();
    const std::string signing_key = auth::base64_encode(keys.signing_key.public_key());
    const bool is_same = store::run_as(connection, store::Actor::auth(), [&](store::Transaction& tx) {
        tx.query(
            "INSERT INTO server_keys (authority_sha256, signing_key) VALUES ($1, $2) ON CONFLICT DO "
            "NOTHING",
            authority, signing_key);
        const auto rows = tx.exec("SELECT authority_sha256, signing_key FROM server_keys");
        return store::read_cell<std::string>(rows[0][0]) == authority &&
               store::read_cell<std::string>(rows[0][1]) == signing_key;
    });
    if (is_same) return;
    throw std::runtime_error(
        "the servers on this database have other keys than this one: give it their ca.key, ca.pem and "
        "server_signing.key, by keys_folder or by a copy, or, if those keys are lost for good, remove the "
        "row "
        "of server_keys in the database and enrol every host anew");
}

}  // namespace fallow::api

// What all servers on one database have in common: the certificate authority and the key that signs
// receipts. They lie in one folder, which replicas mount or copy; the database remembers whose they are.
#pragma once

#include <filesystem>
#include <memory>

#include "auth/authority.hpp"
#include "auth/signing.hpp"
#include "auth/vault.hpp"
#include "base/time.hpp"
#include "store/connection.hpp"

namespace fallow::api {

struct SharedKeys {
    auth::CertificateAuthority authority;
    auth::SigningKey signing_key;
    std::unique_ptr<auth::Vault> vault;  ///< of organizations' secrets
};

/// Where the keys that seal secrets lie, unless another file is named.
[[nodiscard]] std::filesystem::path secrets_key_file(const std::filesystem::path& folder,
                                                     const std::string& named);

/// Loads them, or makes them in a folder that has none; of several servers that start at once one does.
[[nodiscard]] SharedKeys open_shared_keys(const std::filesystem::path& folder,
                                          const std::string& secrets_key_file, Time now);

/// Throws, with what to do, when secrets are sealed under a key that is not here.
void require_secrets_keys(store::Connection& connection, const auth::Vault& vault);

/// The first server on a database writes down which keys are its own; throws, with what to do, when these
/// are others.
void require_same_keys(store::Connection& connection, const SharedKeys& keys);

}  // namespace fallow::api

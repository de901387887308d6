#include "api/host_key.hpp"

#include <fmt/format.h>

#include "auth/base64.hpp"

namespace fallow::api {

std::string host_key_statement(HostId host, const std::string& key, const std::string& registered_at) {
    return fmt::format("fallow-host-key-v1\nhost: {}\nkey: {}\nregistered_at: {}\n", host.text(), key,
                       registered_at);
}

std::string certify_host_key(const auth::SigningKey& signer, HostId host, const std::string& key,
                             Time registered_at) {
    const std::string at = to_rfc3339(registered_at);
    return at + " " + auth::base64_encode(signer.sign(host_key_statement(host, key, at)));
}

std::optional<HostKeyCertificate> host_key_certificate(HostId host, const std::string& key,
                                                       std::string_view kept) {
    const std::size_t space = kept.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    return HostKeyCertificate{host_key_statement(host, key, std::string(kept.substr(0, space))),
                              std::string(kept.substr(space + 1))};
}

}  // namespace fallow::api

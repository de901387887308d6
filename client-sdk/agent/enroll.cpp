#include "agent/enroll.hpp"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <optional>
#include <stdexcept>

#include "agent/container_runtime.hpp"
#include "agent/crypto.hpp"

namespace fallow::agent {
namespace {

PrivateKey load_or_make(const std::filesystem::path& path, PrivateKey (*make)()) {
    if (std::filesystem::exists(path)) return PrivateKey::from_pem(read_file(path));
    const PrivateKey key = make();
    write_file_atomically(path, key.pem(), true);
    return key;
}

std::optional<EngineFacts> ask_engine(const std::string& socket_path) {
    try {
        return Engine(socket_path).facts();
    } catch (const std::exception& error) {
        spdlog::warn("the container engine is not there yet: {}", error.what());
        return std::nullopt;
    }
}

}  // namespace

void describe_engine(HostDescription& host, const std::string& socket_path,
                     const std::string& wanted_runtime) {
    const std::optional<EngineFacts> facts = ask_engine(socket_path);
    host.engine = facts ? facts->name : "unknown";
    host.runtime = facts ? runtime_of(*facts, wanted_runtime) : "";
}

std::string enroll_host(const StateFolder& state, const EnrollOptions& options) {
    if (state.is_enrolled()) throw std::runtime_error("this state folder is enrolled already");
    write_file_atomically(state.ca_file(), read_file(options.ca_file));
    const PrivateKey signing = load_or_make(state.signing_key_file(), PrivateKey::generate_ed25519);
    const PrivateKey tls = load_or_make(state.tls_key_file(), PrivateKey::generate_p256);

    EnrollRequest request;
    request.token = options.token;
    request.csr = tls.certificate_request("fallow-agent");
    request.signing_key = signing.raw_public_base64();
    request.proof = signing.sign_base64("fallow-enroll-v1\n" + options.token);
    request.runtime = options.host.runtime;
    request.engine = options.host.engine;
    request.cpu_cores = options.host.cpu_cores;
    request.memory_bytes = options.host.memory_bytes;

    ServerLink server(options.url, state.ca_file().string());
    EnrollReply reply = server.enroll(request);
    write_file_atomically(state.certificate_file(), reply.certificate);
    reply.identity.url = options.url;
    state.save_identity(reply.identity);
    return reply.identity.host_id;
}

std::int64_t certificate_renewal_unix_ms(const StateFolder& state) {
    return renewal_moment(certificate_life(read_file(state.certificate_file())));
}

bool renew_certificate_if_due(const StateFolder& state, ServerLink& server, std::int64_t now_unix_ms) {
    if (now_unix_ms < certificate_renewal_unix_ms(state)) return false;
    const PrivateKey tls = PrivateKey::from_pem(read_file(state.tls_key_file()));
    write_file_atomically(state.certificate_file(),
                          server.renew_certificate(tls.certificate_request(state.identity().host_id)));
    return true;
}

}  // namespace fallow::agent

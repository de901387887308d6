// The part of LeaseTask that gives a gang's guest its private network: a key and a port before the guest is
// made, the interface right before it starts, when the ends of all the others are known.
#include <spdlog/spdlog.h>

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <system_error>

#include "agent/gang_network.hpp"
#include "agent/gang_tunnels.hpp"
#include "agent/lease_task.hpp"

namespace fallow::agent {
namespace {

namespace fs = std::filesystem;

void write_readable(const fs::path& path, const std::string& text) {
    std::ofstream file(path);
    file << text << std::flush;
    if (!file) throw std::runtime_error("cannot write " + path.string());
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read |
                              fs::perms::others_read);
}

}  // namespace

fs::path LeaseTask::gang_key_file() const {
    return context_.state.lease_folder(record().desired.lease_id) / "gang.key";
}

/// The key is the lease's own, and of use to nobody when the lease is over.
void LeaseTask::prepare_gang(DesiredLease& lease, GuestFolders& folders) {
    if (!context_.gangs)
        throw std::runtime_error("this host offers gangs no private network (--gang-endpoint)");
    if (!lease.gang) throw std::runtime_error("the server does not say which rank the lease has");
    const std::uint16_t port = context_.gangs->take_port(lease.lease_id);
    if (record().gang_public_key.empty() || !fs::exists(gang_key_file())) {
        const TunnelKeys keys = generate_tunnel_keys();
        write_file_atomically(gang_key_file(), keys.private_key, true);
        change([&](LeaseRecord& changed) {
            changed.gang_public_key = keys.public_key;
            changed.gang_port = port;
            changed.gang_endpoint = context_.gangs->endpoint_at(port);
        });
    }
    folders.hosts = (storage_.notices() / "hosts").string();
    write_readable(folders.hosts, gang_hosts_file(*lease.gang));
    for (const auto& [name, value] : gang_environment(*lease.gang))
        if (!lease.spec->env.contains(name)) lease.environment[name] = value;
}

void LeaseTask::report_gang() {
    const LeaseRecord r = record();
    try {
        server_.put_gang_member(r.desired.lease_id, r.desired.lease_epoch, r.gang_public_key,
                                r.gang_endpoint);
    } catch (const ServerError& error) {
        if (!error.is_final()) throw;
        return fail("start_failed", error.what());
    }
    change([](LeaseRecord& changed) { changed.gang_reported = true; });
}

/// False when the guest is not to start: it has failed, or is wanted no more.
bool LeaseTask::join_gang(const std::string& container_id) {
    const LeaseRecord r = record();
    if (r.gang_port == 0) return true;
    if (!r.desired.run) return false;
    try {
        if (!context_.gangs) throw std::runtime_error("this host has stopped offering gangs a network");
        if (!r.desired.gang) throw std::runtime_error("the server does not say which rank the lease has");
        const auto container = runtime_->inspect(container_id);
        if (!container || container->pid == 0) throw std::runtime_error("its container has no process");
        context_.gangs->join(container->pid, *r.desired.gang, read_file(gang_key_file()),
                             static_cast<std::uint16_t>(r.gang_port));
        return true;
    } catch (const sdk::TransportError&) {
        throw;  // the engine is out of reach: the same may work in a moment
    } catch (const std::exception& error) {
        fail("start_failed", std::string("it has no private network: ") + error.what());
        return false;
    }
}

/// Its guest is gone.
void LeaseTask::leave_gang() {
    const std::string lease_id = record().desired.lease_id;
    std::error_code ignored;
    fs::remove(gang_key_file(), ignored);
    try {
        if (context_.gangs) context_.gangs->leave(lease_id);
    } catch (const std::exception& error) {
        spdlog::warn("the private network of lease {} is still there: {}", lease_id, error.what());
    }
}

}  // namespace fallow::agent

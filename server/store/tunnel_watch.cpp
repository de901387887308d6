#include "store/tunnel_watch.hpp"

#include "store/row_reader.hpp"

namespace fallow::store {
namespace {

ConnectionSettings as_engine(ConnectionSettings settings) {
    settings.role = "fallow_engine";
    return settings;
}

}  // namespace

TunnelWatch::TunnelWatch(const ConnectionSettings& settings) : connection_(as_engine(settings)) {}

std::vector<HostId> TunnelWatch::look() {
    if (connection_.is_broken()) connection_.reconnect();
    const auto head = connection_.prepared("tunnel_head", "SELECT sequence FROM tunnel_head", Parameters{});
    const auto sequence = read_cell<std::int64_t>(head.at(0)[0]);
    std::vector<HostId> hosts;
    if (sequence == sequence_) return hosts;
    for (const auto& row :
         connection_.prepared("tunnel_hosts", "SELECT DISTINCT host_id FROM tunnels WHERE sequence > $1",
                              {parameter_of(sequence_)}))
        hosts.push_back(read_cell<HostId>(row[0]));
    sequence_ = sequence;
    return hosts;
}

}  // namespace fallow::store

#include "api/host_count.hpp"

#include <utility>
#include <variant>

#include "engine/presence.hpp"
#include "market/host.hpp"
#include "market/state.hpp"

namespace fallow::api {

void HostCount::reset(const market::State& state, std::int64_t sequence) {
    {
        const std::lock_guard lock(mutex_);
        online_.clear();
        for (const auto& [id, host] : state.table<market::Host>())
            if (engine::is_believed_online(host)) online_.insert(id);
        count_ = online_.size();
    }
    next_.reset(state, sequence);
}

void HostCount::apply(std::int64_t sequence, std::vector<engine::CommittedRow> rows) {
    {
        const std::lock_guard lock(mutex_);
        for (const engine::CommittedRow& committed : rows) {
            const auto* host = std::get_if<market::Host>(&committed.row);
            if (host == nullptr) continue;
            if (!committed.is_removed && engine::is_believed_online(*host))
                online_.insert(host->id);
            else
                online_.erase(host->id);
        }
        count_ = online_.size();
    }
    next_.apply(sequence, std::move(rows));
}

}  // namespace fallow::api

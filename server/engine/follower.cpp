#include "engine/follower.hpp"

namespace fallow::engine {

Follower::Follower(FollowerConfig config, FollowerDeps deps)
    : config_(std::move(config)), deps_(std::move(deps)) {}

Looked Follower::look() {
    const std::lock_guard lock(work_mutex_);
    // The row is at least as new as the moment before it was asked for.
    const Time asked = deps_.now();
    const LeaderRow row = deps_.source.leader(config_.market);
    remember(row, asked);
    if (row.accounts_sequence != std::exchange(accounts_sequence_, row.accounts_sequence))
        deps_.publish("journal");
    Looked looked;
    looked.is_free = row.holder.empty() || row.beat_age > config_.stale_after;
    looked.is_own = row.holder == config_.holder;
    // The engine has the market, or is about to take it from here: what is followed stays as it is.
    if (looked.is_own) return looked;
    if (replica_)
        follow(row);
    else if (!looked.is_free)  // else this process may be the next leader, which reads the market itself
        reload();
    looked.has_more = replica_ && replica_->position().sequence < row.sequence;
    return looked;
}

void Follower::reconnect() {
    const std::lock_guard lock(work_mutex_);
    deps_.source.reconnect();
}

std::optional<KnownLeader> Follower::leader() const {
    const Time now = deps_.now();
    const std::lock_guard lock(seen_mutex_);
    if (seen_.holder.empty() || seen_.beat_age > config_.stale_after) return std::nullopt;
    if (now - seen_at_ > config_.fresh_within) return std::nullopt;
    return KnownLeader{seen_.holder, seen_.address, seen_.epoch, seen_.holder == config_.holder};
}

std::optional<market::State> Follower::take(const Leadership& leadership) {
    const std::lock_guard lock(work_mutex_);
    if (!replica_) return std::nullopt;
    try {
        while (replica_ && replica_->position().sequence < leadership.sequence)
            read_on(leadership.sequence);
    } catch (const std::exception& error) {
        drop(error.what());
    }
    if (!replica_) return std::nullopt;
    const JournalPosition& position = replica_->position();
    if (position.sequence != leadership.sequence || position.chain_hex != leadership.chain_hex) {
        drop("the leader row stands for another journal than the one that was followed");
        return std::nullopt;
    }
    market::State state = replica_->take();
    replica_.reset();
    sequence_ = 0;
    return state;
}

void Follower::remember(const LeaderRow& row, Time asked) {
    const std::lock_guard lock(seen_mutex_);
    seen_ = row;
    seen_at_ = asked;
}

void Follower::follow(const LeaderRow& row) {
    if (row.sequence - replica_->position().sequence > config_.lag_max)
        return drop("it is too far behind the journal");
    if (row.sequence != replica_->position().sequence) read_on(row.sequence);
}

/// Applies the next records, or drops the replica when they are not to be had.
void Follower::read_on(std::int64_t head) {
    const auto records =
        deps_.source.read(config_.market, replica_->position().sequence, config_.records_per_read);
    if (records.empty())
        return drop("the journal ends at record " + std::to_string(replica_->position().sequence) +
                    ", before its head " + std::to_string(head));
    try {
        for (const JournalRecord& record : records) {
            const std::vector<std::string> topics = replica_->apply(record);
            if (deps_.committed != nullptr)
                deps_.committed->apply(record.sequence, replica_->take_changed());
            for (const std::string& topic : topics)
                deps_.publish(topic);
            sequence_ = record.sequence;
        }
    } catch (const JournalBroken& broken) {
        drop(broken.what());
    }
}

void Follower::reload() {
    const Time now = deps_.now();
    if (reloaded_at_ && now - *reloaded_at_ < config_.reload_pause) return;
    reloaded_at_ = now;
    const LoadedMarket loaded = deps_.source.load(config_.market);
    replica_.emplace(state_of(loaded, config_.rules), loaded.position);
    if (deps_.committed != nullptr) deps_.committed->reset(replica_->state(), loaded.position.sequence);
    sequence_ = loaded.position.sequence;
    deps_.publish_all();
}

/// The next look reads the market anew.
void Follower::drop(const std::string& why) {
    deps_.log("warn", "the market is read again by this follower: " + why);
    replica_.reset();
    sequence_ = 0;
}

}  // namespace fallow::engine

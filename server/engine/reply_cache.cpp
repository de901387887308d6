#include "engine/reply_cache.hpp"

#include <utility>

namespace fallow::engine {

std::string ReplyCache::name_of(OrganizationId organization, const std::string& route,
                                const std::string& key) {
    return organization.text() + ' ' + route + ' ' + key;
}

const ReplyCache::Entry* ReplyCache::find(const IdempotencyKey& key) const {
    const auto found = entries_.find(name_of(key.organization, key.route, key.key));
    return found == entries_.end() ? nullptr : &found->second;
}

void ReplyCache::insert(std::string name, Entry entry) {
    by_age_.push_back(name);
    entries_.insert_or_assign(std::move(name), std::move(entry));
    while (by_age_.size() > entries_max_) {
        entries_.erase(by_age_.front());
        by_age_.pop_front();
    }
}

void ReplyCache::add(const IdempotencyKey& key, const Reply& reply) {
    insert(name_of(key.organization, key.route, key.key), Entry{key.body_hash, reply});
}

void ReplyCache::add(const IdempotencyRecord& record) {
    insert(name_of(record.organization, record.route, record.key),
           Entry{record.body_hash, Reply{record.status, record.reply}});
}

void ReplyCache::remove(const IdempotencyKey& key) {
    const std::string name = name_of(key.organization, key.route, key.key);
    entries_.erase(name);
    std::erase(by_age_, name);
}

void ReplyCache::clear() {
    entries_.clear();
    by_age_.clear();
}

}  // namespace fallow::engine

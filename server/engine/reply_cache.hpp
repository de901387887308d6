// The replies of recent keyed commands, those in flight included. A twin gets the same bytes; another body
// is refused. Older keys are looked up in the database before a command is queued.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "engine/engine.hpp"

namespace fallow::engine {

class ReplyCache {
  public:
    explicit ReplyCache(std::size_t entries_max) : entries_max_(entries_max) {}

    struct Entry {
        std::string body_hash;
        Reply reply;
    };
    [[nodiscard]] const Entry* find(const IdempotencyKey& key) const;
    void add(const IdempotencyKey& key, const Reply& reply);
    void add(const IdempotencyRecord& record);
    /// The command was undone: its reply was never given.
    void remove(const IdempotencyKey& key);
    void clear();

  private:
    static std::string name_of(OrganizationId organization, const std::string& route,
                               const std::string& key);
    void insert(std::string name, Entry entry);

    std::size_t entries_max_;
    std::unordered_map<std::string, Entry> entries_;
    std::deque<std::string> by_age_;
};

}  // namespace fallow::engine

// Remembers what authentication looked up, for less than a second: a revocation must count within one. What
// somebody vouches for holds for longer. Lookups of one name that run at the same time are one lookup.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fallow::api {

/// `Value` says by itself whether something was found: that nothing was is remembered too.
template <class Value>
class LookupCache {
  public:
    using Clock = std::chrono::steady_clock;
    using Found = std::shared_ptr<const Value>;  ///< null: the lookup failed, try again later
    using Done = std::function<void(const Found&)>;
    using Load = std::function<void(const std::string& name, Done)>;

    /// The version of all that lookups depend on, while it is known to be current; else 0.
    using Vouch = std::function<std::uint64_t()>;

    static constexpr auto fresh_for = std::chrono::milliseconds(500);
    static constexpr auto usable_for = std::chrono::milliseconds(900);  ///< while a newer one is on its way

    /// While vouched for: a change behind the server's back, by hand in the database, counts within this.
    static constexpr auto vouched_for = std::chrono::seconds(60);

    LookupCache(std::size_t entries_max, Load load, std::function<Clock::time_point()> now,
                Vouch vouch = nullptr)
        : entries_max_(entries_max),
          load_(std::move(load)),
          now_(std::move(now)),
          vouch_(std::move(vouch)) {}

    /// `done` is called once: at once, on the calling thread, when the value is known.
    void get(const std::string& name, Done done) {
        Found known;
        bool starts_load = false;
        {
            const std::lock_guard lock(mutex_);
            Entry& entry = entry_of(name);
            const auto age = now_() - entry.loaded_at;
            const bool holds = is_vouched(entry, age);
            if (entry.value && (age <= usable_for || holds)) known = entry.value;
            if (!known) entry.waiting.push_back(done);
            const bool is_fresh = known && (age <= fresh_for || holds);
            if (!is_fresh && !entry.is_loading) starts_load = entry.is_loading = true;
        }
        if (known) done(known);
        if (starts_load) start(name);
    }

    [[nodiscard]] std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return entries_.size();
    }

  private:
    struct Entry {
        Found value;
        Clock::time_point loaded_at{};
        std::uint64_t version = 0;  ///< 0: nobody vouches for it
        bool is_loading = false;
        std::vector<Done> waiting;
    };

    void start(const std::string& name) {
        // What was true when the question was asked is what ages, not when the answer came.
        const auto asked_at = now_();
        const std::uint64_t version = vouch_ ? vouch_() : 0;
        load_(name, [this, name, asked_at, version](const Found& value) {
            finish(name, asked_at, version, value);
        });
    }

    [[nodiscard]] bool is_vouched(const Entry& entry, Clock::duration age) const {
        if (!entry.value || entry.version == 0 || age > vouched_for) return false;
        // That nothing was found is not remembered for long: what is made meanwhile has to be found.
        if constexpr (requires { entry.value->is_lasting(); })
            if (!entry.value->is_lasting()) return false;
        return vouch_() == entry.version;
    }

    void finish(const std::string& name, Clock::time_point asked_at, std::uint64_t version,
                const Found& value) {
        std::vector<Done> waiting;
        {
            const std::lock_guard lock(mutex_);
            Entry& entry = entries_[name];
            entry.is_loading = false;
            waiting.swap(entry.waiting);
            if (value) {
                entry.value = value;
                entry.loaded_at = asked_at;
                entry.version = version;
            } else if (!entry.value) {
                entries_.erase(name);
            }
        }
        for (const Done& done : waiting)
            done(value);
    }

    Entry& entry_of(const std::string& name) {
        const auto at = entries_.find(name);
        if (at != entries_.end()) return at->second;
        if (entries_.size() >= entries_max_) make_room();
        return entries_[name];
    }

    /// Drops what is too old to be used; and if that is nothing, everything that nobody waits for.
    void make_room() {
        const auto now = now_();
        std::erase_if(entries_, [&](const auto& item) {
            const auto age = now - item.second.loaded_at;
            return !item.second.is_loading && age > usable_for && !is_vouched(item.second, age);
        });
        if (entries_.size() >= entries_max_)
            std::erase_if(entries_, [](const auto& item) { return !item.second.is_loading; });
    }

    const std::size_t entries_max_;
    const Load load_;
    const std::function<Clock::time_point()> now_;
    const Vouch vouch_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Entry> entries_;
};

}  // namespace fallow::api

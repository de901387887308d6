// Which host a task goes to. Hosts with equal room are one group. For each class of task the cheaper groups
// that it fits are kept in order, and what has changed is valued when that class is asked for next: so a
// decision costs the number of classes in use, not the number of hosts. What valuing looks at lies in one
// cache line for each group, and those lines beside one another, because with many hosts the time goes
// into fetching them.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <unordered_map>
#include <vector>

#include "base/ids.hpp"
#include "market/placement/demand.hpp"
#include "market/placement/room.hpp"
#include "market/placement/worth.hpp"

namespace fallow::market::placement {

/// What a placement costs. The least is taken: a lower `step` first, then less that remains.
struct Cost {
    std::int64_t step =
        0;  ///< expected fragmentation that it adds, in units of `step_thousandths`, rounded up
    std::int64_t remains = 0;  ///< free thousandths of the host afterwards

    friend auto operator<=>(const Cost&, const Cost&) = default;
};
inline constexpr std::int64_t step_thousandths = 80;

struct Choice {
    RawId host;
    std::int32_t from = whole_card;  ///< the free thousandths of the card to cut a share from
    Cost cost;
};

/// The rule for one host and a task that fits it, as the index applies it.
[[nodiscard]] Cost cost_of(const Worth& worth, const Room& room, const Task& task);
/// The same where the card that a share is cut from is given.
[[nodiscard]] Cost cost_of(const Worth& worth, const Room& room, const Task& task, std::int32_t from);

/// How many tasks the expectation rests on; half of them count in full.
inline constexpr std::int64_t demand_window = 8192;
/// Classes of task whose order is kept. One more empties the cache, which changes no choice.
inline constexpr std::size_t classes_kept_max = 1024;

class Index {
  public:
    /// A host's free capacity, now.
    void set(RawId host, const Room& room);
    void remove(RawId host);
    [[nodiscard]] const Room& room_of(RawId host) const { return groups_[group_of_.at(host)].room; }
    [[nodiscard]] std::size_t hosts() const { return group_of_.size(); }
    [[nodiscard]] std::size_t groups() const { return by_room_.size(); }

    /// A task was asked for. What is expected is renewed after 64, 128, ... 4,096 of them, then after every
    /// 4,096, or after four times as many as there are groups if that is more.
    void learn(const Task& task);
    [[nodiscard]] const Worth& worth() const { return worth_; }

    /// The host with the least cost; among equals the lowest id. Nothing if none fits.
    [[nodiscard]] std::optional<Choice> choose(const Task& task);

  private:
    using GroupId = std::uint32_t;
    static constexpr std::size_t line_bytes = 64;
    static constexpr std::size_t parts_in_line = 8;
    /// What valuing a group looks at.
    struct alignas(line_bytes) Line {
        std::int64_t cpu_milli = nothing;  ///< below zero while the group holds no room: no task fits
        std::int64_t memory = 0;
        std::int64_t usable = 0;  ///< by `worth_` of `worth_version`
        std::uint32_t worth_version = 0;
        std::uint32_t generation = 0;  ///< counts the rooms that this group has held
        Kind kind = 0;
        std::int32_t free = 0;  ///< thousandths
        std::int32_t whole_cards = 0;
        std::int32_t parts_count = 0;
        std::array<std::int16_t, parts_in_line> parts{};  ///< of the room, if it has no more

        static constexpr std::int64_t nothing = -1;
    };
    static_assert(sizeof(Line) == line_bytes);
    struct Group {
        Room room;
        std::set<RawId> hosts;
    };
    struct Candidate {
        std::int64_t cost = 0;  ///< packed, so that it compares like `Cost`
        RawId host;             ///< the group's lowest when it was valued
        GroupId group = 0;
        std::uint32_t generation = 0;

        /// Whether this one is chosen before the other.
        [[nodiscard]] bool precedes(const Candidate& other) const {
            return cost != other.cost ? cost < other.cost : host < other.host;
        }
    };
    struct Class {
        std::uint32_t worth_version = 0;
        std::uint64_t read = 0;        ///< how far in the log
        std::optional<Candidate> cut;  ///< what comes behind it has been left out of the heap
        std::vector<Candidate> heap;
    };
    /// A group that has come into being or got a lower host.
    struct News {
        GroupId group = 0;
        std::uint32_t generation = 0;
    };
    struct HostHash {
        std::size_t operator()(const RawId& id) const {
            return static_cast<std::size_t>((id.high ^ id.low) * 0x9e3779b97f4a7c15ULL >> 13U);
        }
    };

    GroupId group_for(const Room& room);
    void join(GroupId id, RawId host);
    void leave(GroupId id, RawId host);
    void tell(GroupId id);
    void renew();
    [[nodiscard]] bool is_live(GroupId group, std::uint32_t generation) const {
        return lines_[group].generation == generation;
    }
    [[nodiscard]] RoomView view(GroupId id) const;
    /// The group as a candidate, if the task fits and it does not come behind the cut.
    std::optional<Candidate> consider(const Class& of, const Task& task, GroupId id);
    void rebuild(Class& of, const Task& task);
    void refresh(Class& of, const Task& task);
    std::optional<Candidate> cheapest(Class& of) const;

    DemandWindow demand_{demand_window};
    std::uint64_t learnt_ = 0;
    std::uint64_t renew_at_ = 64;
    Worth worth_;
    std::uint32_t worth_version_ = 1;

    std::vector<Line> lines_;    ///< by group, as `groups_`
    std::vector<RawId> lowest_;  ///< the first of its hosts, by group
    std::vector<Group> groups_;
    std::vector<GroupId> unused_;
    std::unordered_map<Room, GroupId, RoomHash> by_room_;
    std::unordered_map<RawId, GroupId, HostHash> group_of_;
    std::vector<News> log_;
    std::uint64_t log_start_ = 0;  ///< the number of the log's first entry
    std::unordered_map<Task, Class, TaskHash> classes_;
    std::vector<Candidate> fitting_;  ///< while a class is rebuilt
};

}  // namespace fallow::market::placement

#include "market/placement/room.hpp"

#include <algorithm>
#include <numeric>

#include "base/assert.hpp"

namespace fallow::market::placement {
namespace {

/// FNV-1a over whole words.
class Hasher {
  public:
    void add(std::int64_t value) {
        hash_ = (hash_ ^ static_cast<std::uint64_t>(value)) * 0x100000001b3ULL;
        hash_ ^= hash_ >> 29U;
    }
    [[nodiscard]] std::size_t value() const { return static_cast<std::size_t>(hash_); }

  private:
    std::uint64_t hash_ = 0xcbf29ce484222325ULL;
};

void put_part(std::vector<std::int16_t>& parts, std::int32_t thousandths) {
    if (thousandths == 0) return;
    const auto part = static_cast<std::int16_t>(thousandths);
    parts.insert(std::upper_bound(parts.begin(), parts.end(), part, std::greater<>()), part);
}

}  // namespace

std::int64_t Room::thousandths() const {
    return std::accumulate(parts.begin(), parts.end(), std::int64_t{whole_cards} * whole_card);
}

bool Task::allows(Kind kind) const {
    return kinds.empty() || std::binary_search(kinds.begin(), kinds.end(), kind);
}

bool fits(const RoomView& room, const Task& task) {
    if (room.cpu_milli < task.cpu_milli || room.memory < task.memory) return false;
    if (task.cards == 0) return true;
    if (!task.allows(room.kind)) return false;
    if (room.whole_cards >= task.cards) return true;
    return task.is_share() && !room.parts.empty() && room.parts.front() >= task.thousandths;
}

Room taken(Room room, const Task& task, std::int32_t from) {
    room.cpu_milli -= task.cpu_milli;
    room.memory -= task.memory;
    FALLOW_ASSERT(room.cpu_milli >= 0 && room.memory >= 0);
    if (!task.is_share() || from == whole_card) {
        room.whole_cards -= task.cards;
        FALLOW_ASSERT(room.whole_cards >= 0);
        if (task.is_share()) put_part(room.parts, whole_card - task.thousandths);
        return room;
    }
    const auto at = std::find(room.parts.begin(), room.parts.end(), static_cast<std::int16_t>(from));
    FALLOW_ASSERT(at != room.parts.end() && from >= task.thousandths);
    room.parts.erase(at);
    put_part(room.parts, from - task.thousandths);
    return room;
}

std::size_t RoomHash::operator()(const Room& room) const {
    Hasher hasher;
    hasher.add(room.kind);
    hasher.add(room.cpu_milli);
    hasher.add(room.memory);
    hasher.add(room.whole_cards);
    for (const std::int16_t part : room.parts)
        hasher.add(part);
    return hasher.value();
}

std::size_t TaskHash::operator()(const Task& task) const {
    Hasher hasher;
    hasher.add(task.cards);
    hasher.add(task.thousandths);
    hasher.add(task.cpu_milli);
    hasher.add(task.memory);
    for (const Kind kind : task.kinds)
        hasher.add(kind);
    return hasher.value();
}

}  // namespace fallow::market::placement

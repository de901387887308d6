// What the guard knows, and what follows from it, as a value: which containers it watches, when the last
// acknowledged heartbeat was sent, and what is due at a given moment of the boot clock. No clock, no I/O.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::guard {

enum class WatchState { running, frozen, killed };

/// By what it was frozen, which is also what thaws it.
enum class FrozenBy { nothing, cgroup, engine };

struct Watched {
    std::string container;  ///< the engine's id: hexadecimal digits
    std::string lease;
    std::int64_t epoch = 0;     ///< of the lease
    std::int64_t fence_ms = 0;  ///< from the send time of the last acknowledged heartbeat to the freeze
    std::int64_t pid = 0;       ///< of its first process; 0: not started yet, or not known
    std::int64_t start_ticks =
        0;  ///< when that process began, which tells it from a later one of its number
    WatchState state = WatchState::running;
    FrozenBy frozen_by = FrozenBy::nothing;
    std::int64_t frozen_boot_ms = 0;  ///< once it is frozen or killed; 0 when it was killed while it ran
    std::int64_t thawed_boot_ms = 0;  ///< of the last thaw; 0: never
    friend bool operator==(const Watched&, const Watched&) = default;
};

/// One line of words, without its end; the same on disk and on the socket.
[[nodiscard]] std::string encode_watched(const Watched& watched);
[[nodiscard]] std::optional<Watched> parse_watched(std::string_view line);

[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);
/// Nothing unless the whole word is a number of at least 0.
[[nodiscard]] std::optional<std::int64_t> number_of(std::string_view word);

/// Container and lease ids become parts of paths and lines: letters, digits and '_' alone, 8 to 128.
[[nodiscard]] bool is_plain_id(std::string_view text);

enum class DueKind { freeze, kill, forget };
struct Due {
    DueKind kind;
    std::string container;
    friend bool operator==(const Due&, const Due&) = default;
};

class Book {
  public:
    explicit Book(std::int64_t fenced_ms_max) : fenced_ms_max_(fenced_ms_max) {}

    enum class Refusal { none, stale_epoch, killed_already };
    /// Takes over what is asked for, keeping what is known of the container's freezes. A lower epoch than
    /// the lease is known under is refused, and a container that was killed is not watched again.
    [[nodiscard]] Refusal watch(const Watched& wanted);
    /// Containers of that lease under a lower epoch than `epoch`: they have to die.
    [[nodiscard]] std::vector<std::string> outdated(std::string_view lease, std::int64_t epoch) const;
    void drop(const std::string& container) { watched_.erase(container); }

    /// Moves forward only.
    void heartbeat(std::int64_t sent_boot_ms);
    [[nodiscard]] std::int64_t heartbeat() const { return heartbeat_boot_ms_; }

    [[nodiscard]] Watched* find(const std::string& container);
    [[nodiscard]] const std::map<std::string, Watched>& watched() const { return watched_; }
    void put(const Watched& watched) { watched_[watched.container] = watched; }

    /// When the container's fence falls. With no heartbeat acknowledged yet it has fallen already.
    [[nodiscard]] std::int64_t fence_of(const Watched& watched) const;
    [[nodiscard]] bool is_fenced(const Watched& watched, std::int64_t now) const;

    /// What has to be done now, the freezes first. `forget` is for a container that nobody has seen start
    /// within the longest time a freeze may last.
    [[nodiscard]] std::vector<Due> due(std::int64_t now) const;
    /// The next moment after `now` at which more can be due; nothing while no time alone changes anything.
    [[nodiscard]] std::optional<std::int64_t> next_moment(std::int64_t now) const;

    /// Means something under this boot of the host alone, which it names.
    [[nodiscard]] std::string encode(std::string_view boot_id) const;
    /// Empty unless the text is whole, of this boot and of this version.
    [[nodiscard]] static Book parse(std::string_view text, std::string_view boot_id,
                                    std::int64_t fenced_ms_max);

  private:
    [[nodiscard]] std::int64_t end_of_freeze(const Watched& watched) const;

    std::int64_t fenced_ms_max_;
    std::int64_t heartbeat_boot_ms_ = 0;
    std::map<std::string, Watched> watched_;
};

}  // namespace fallow::guard

// The guard itself: one thread, one loop over the socket, the timer and the watched processes. README.md of
// this folder says what it promises.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "guard/book.hpp"
#include "guard/descriptor.hpp"
#include "guard/log.hpp"
#include "guard/runtime.hpp"

namespace fallow::guard {

struct GuardOptions {
    std::string engine_socket;
    std::int64_t fenced_ms_max = 600'000;
    bool stays = false;  ///< also with nothing to watch and nobody connected
    int ready_fd = -1;   ///< is written to, and closed, when the socket listens
};

/// Throws unless this process gets the state folder's lock: there is one guard a folder.
[[nodiscard]] Descriptor lock_folder();

/// Works in the current folder, which is the agent's state folder.
class Guard {
  public:
    Guard(GuardOptions options, Runtime runtime);
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

    /// Until nothing is left to watch and nobody is connected, or a signal: then all is frozen first.
    void run();

  private:
    struct Peer {
        Descriptor fd;
        std::string unread;
    };

    void listen();
    void say_ready();
    void read_book();
    void save_book();

    void wait();
    void accept_peer();
    /// False when the peer is gone.
    bool read_peer(Peer& peer);
    bool serve_lines(Peer& peer);
    void take_signal();

    [[nodiscard]] std::string answer(std::string_view line);
    std::string answer_watch(std::string_view line);
    std::string answer_thaw(const std::string& container);
    std::string answer_kill(const std::string& container);
    std::string answer_list() const;

    void watch_process_of(const Watched& watched);
    void note_ended_processes();
    void carry_out_due();
    void freeze(Watched& watched);
    void note_frozen(Watched& watched, FrozenBy by, std::int64_t at);
    void kill(Watched& watched, const char* why);
    void forget(const std::string& container);
    void freeze_all();
    [[nodiscard]] bool is_idle() const;
    void arm_timer();

    GuardOptions options_;
    Runtime runtime_;
    Book book_;
    std::string boot_id_;
    std::int64_t began_boot_ms_;
    bool is_known_ = false;  ///< somebody has been connected
    Log log_;
    bool book_changed_ = false;
    bool told_to_end_ = false;

    Descriptor listener_;
    Descriptor timer_;
    Descriptor signals_;
    std::vector<Peer> peers_;
    std::map<std::string, Descriptor> processes_;  ///< by container; readable once it has ended
    std::set<std::string> ended_;                  ///< containers whose first process has ended

    struct Attempt {
        std::int64_t first_asked_boot_ms = 0;  ///< the freeze that has not taken hold yet
        std::int64_t engine_asked_boot_ms = 0;
    };
    std::map<std::string, Attempt> attempts_;  ///< of freezes that are due and not done
};

}  // namespace fallow::guard

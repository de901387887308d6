// What the guard does to containers, and when. The socket and the files are in guard_io.cpp.
#include "guard/guard.hpp"

#include <sys/timerfd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "guard/clock.hpp"
#include "guard/process.hpp"

namespace fallow::guard {
namespace {

constexpr std::int64_t retry_ms = 50;
/// So long a guard waits for the agent that started it.
constexpr std::int64_t first_peer_ms = 5000;
constexpr std::int64_t engine_retry_ms = 1000;
/// A freeze that has not taken hold by then never will: the container is killed.
constexpr std::int64_t freeze_patience_ms = 1000;
constexpr std::chrono::milliseconds freeze_look_pause{1};

}  // namespace

Guard::Guard(GuardOptions options, Runtime runtime)
    : options_(std::move(options)),
      runtime_(std::move(runtime)),
      book_(options_.fenced_ms_max),
      boot_id_(current_boot_id()),
      began_boot_ms_(boot_clock_ms()) {}

void Guard::run() {
    read_book();
    listen();
    for (const auto& [container, watched] : book_.watched())
        watch_process_of(watched);
    carry_out_due();
    say_ready();
    while (!told_to_end_ && (options_.stays || !is_idle())) {
        arm_timer();
        wait();
        note_ended_processes();
        carry_out_due();
        log_.flush();
    }
    if (told_to_end_) freeze_all();
    log_.flush();
}

bool Guard::is_idle() const {
    const auto& all = book_.watched();
    return (is_known_ || boot_clock_ms() >= began_boot_ms_ + first_peer_ms) && peers_.empty() &&
           std::all_of(all.begin(), all.end(), [&](const auto& entry) {
               return entry.second.state == WatchState::killed || ended_.contains(entry.first);
           });
}

void Guard::arm_timer() {
    const std::int64_t now = boot_clock_ms();
    std::optional<std::int64_t> next = book_.next_moment(now);
    if (!is_known_)
        next = std::min(next.value_or(began_boot_ms_ + first_peer_ms), began_boot_ms_ + first_peer_ms);
    if (!attempts_.empty()) next = std::min(next.value_or(now + retry_ms), now + retry_ms);
    itimerspec moment{};
    if (next) moment.it_value = {*next / 1000, (*next % 1000) * 1'000'000};
    // Absolute and on the boot clock: a host that wakes from sleep past a fence freezes at once.
    ::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &moment, nullptr);
}

void Guard::watch_process_of(const Watched& watched) {
    if (watched.pid == 0 || processes_.contains(watched.container)) return;
    Descriptor process = watch_process(watched.pid, watched.start_ticks);
    if (process.get() >= 0)
        processes_.emplace(watched.container, std::move(process));
    else if (!is_alive(watched.pid, watched.start_ticks))
        ended_.insert(watched.container);
}

void Guard::note_ended_processes() {
    std::erase_if(processes_, [&](const auto& entry) {
        const Watched* const watched = book_.find(entry.first);
        if (watched != nullptr && is_alive(watched->pid, watched->start_ticks)) return false;
        if (watched != nullptr) ended_.insert(entry.first);
        return true;
    });
}

void Guard::carry_out_due() {
    runtime_.begin_round();
    for (const Due& due : book_.due(boot_clock_ms())) {
        Watched* const watched = book_.find(due.container);
        if (watched == nullptr || ended_.contains(due.container)) continue;
        switch (due.kind) {
            case DueKind::freeze:
                freeze(*watched);
                break;
            case DueKind::kill:
                kill(*watched, "it was frozen for too long");
                break;
            case DueKind::forget:
                if (watched->state == WatchState::running) forget(due.container);
                break;
        }
    }
    std::erase_if(attempts_, [&](const auto& entry) {
        const Watched* const watched = book_.find(entry.first);
        return watched == nullptr || watched->state != WatchState::running ||
               ended_.contains(entry.first) || !book_.is_fenced(*watched, boot_clock_ms());
    });
    if (book_changed_) save_book();
}

void Guard::freeze(Watched& watched) {
    const std::int64_t now = boot_clock_ms();
    Attempt& attempt = attempts_[watched.container];
    const bool may_ask_engine =
        attempt.engine_asked_boot_ms == 0 || now - attempt.engine_asked_boot_ms >= engine_retry_ms;
    if (may_ask_engine) attempt.engine_asked_boot_ms = now;
    const Frozen outcome = runtime_.freeze(watched, may_ask_engine);
    const std::int64_t since = attempt.first_asked_boot_ms == 0 ? now : attempt.first_asked_boot_ms;
    switch (outcome) {
        case Frozen::by_cgroup:
            return note_frozen(watched, FrozenBy::cgroup, since);
        case Frozen::by_engine:
            return note_frozen(watched, FrozenBy::engine, since);
        case Frozen::was_already:
            // By a guard that died before it could note it: when is not known, but not before the fence.
            return note_frozen(
                watched, FrozenBy::cgroup,
                attempt.first_asked_boot_ms != 0 ? since : std::min(now, book_.fence_of(watched)));
        case Frozen::not_yet:
            attempt.first_asked_boot_ms = since;
            if (now - since >= freeze_patience_ms) kill(watched, "it could not be frozen");
            return;
        case Frozen::impossible:
            return kill(watched, "its runtime cannot freeze it");
        case Frozen::absent:
            return;
    }
}

void Guard::note_frozen(Watched& watched, FrozenBy by, std::int64_t at) {
    watched.state = WatchState::frozen;
    watched.frozen_by = by;
    watched.frozen_boot_ms = at;
    book_changed_ = true;
    log_.warn("container " + watched.container + " of " + watched.lease +
              " is frozen: no heartbeat was acknowledged since " + std::to_string(at - book_.heartbeat()) +
              " ms");
}

void Guard::kill(Watched& watched, const char* why) {
    if (!runtime_.kill(watched))
        log_.error("nothing was found to be killed of container " + watched.container);
    watched.state = WatchState::killed;
    book_changed_ = true;
    log_.warn("container " + watched.container + " of " + watched.lease + " is killed: " + why);
}

void Guard::forget(const std::string& container) {
    book_.drop(container);
    processes_.erase(container);
    ended_.erase(container);
    attempts_.erase(container);
    book_changed_ = true;
}

/// Nothing computes unguarded: the next guard, or the agent, thaws what may go on.
void Guard::freeze_all() {
    std::vector<std::string> running;
    for (const auto& [container, watched] : book_.watched())
        if (watched.state == WatchState::running && !ended_.contains(container))
            running.push_back(container);
    for (const std::string& container : running) {
        Watched& watched = *book_.find(container);
        const std::int64_t now = boot_clock_ms();
        const Frozen outcome = runtime_.freeze(watched, true);
        if (outcome == Frozen::by_engine)
            note_frozen(watched, FrozenBy::engine, now);
        else if (outcome != Frozen::absent && outcome != Frozen::impossible)
            note_frozen(watched, FrozenBy::cgroup, now);
    }
    log_.info("told to end");
    if (book_changed_) save_book();
    // The kernel needs a moment from the word to the deed.
    const std::int64_t until = boot_clock_ms() + freeze_patience_ms;
    const auto still_runs = [&](const std::string& container) {
        const Watched& watched = *book_.find(container);
        return watched.frozen_by == FrozenBy::cgroup && !runtime_.is_frozen(watched);
    };
    while (boot_clock_ms() < until && std::any_of(running.begin(), running.end(), still_runs))
        std::this_thread::sleep_for(freeze_look_pause);
}

std::string Guard::answer_thaw(const std::string& container) {
    Watched* const watched = book_.find(container);
    if (watched == nullptr) return "no unknown";
    if (watched->state == WatchState::killed) return "no killed";
    if (book_.is_fenced(*watched, boot_clock_ms())) return "no fenced";
    if (watched->state == WatchState::frozen) {
        if (!runtime_.thaw(*watched)) return "no failed";
        watched->state = WatchState::running;
        watched->frozen_by = FrozenBy::nothing;
        watched->frozen_boot_ms = 0;
        // Read after the thaw: what ran in between is not billed, rather than the other way round.
        watched->thawed_boot_ms = boot_clock_ms();
        save_book();
        log_.info("container " + container + " of " + watched->lease + " is thawed");
    }
    return "ok " + std::to_string(watched->thawed_boot_ms);
}

std::string Guard::answer_kill(const std::string& container) {
    Watched* const watched = book_.find(container);
    if (watched == nullptr) return "no unknown";
    if (watched->state != WatchState::killed) kill(*watched, "the agent wants it");
    return "ok";
}

std::string Guard::answer_watch(std::string_view line) {
    const auto wanted = parse_watched(line);
    if (!wanted || !is_plain_id(wanted->container)) return "no malformed";
    switch (book_.watch(*wanted)) {
        case Book::Refusal::stale_epoch:
            return "no stale_epoch";
        case Book::Refusal::killed_already:
            return "no killed";
        case Book::Refusal::none:
            break;
    }
    for (const std::string& container : book_.outdated(wanted->lease, wanted->epoch))
        kill(*book_.find(container), "its lease has a newer epoch");
    Watched& watched = *book_.find(wanted->container);
    watch_process_of(watched);
    if (watched.state == WatchState::running && runtime_.is_frozen(watched))
        note_frozen(watched, FrozenBy::cgroup, std::min(boot_clock_ms(), book_.fence_of(watched)));
    save_book();
    return "ok";
}

std::string Guard::answer_list() const {
    std::string text = "ok";
    for (const auto& [container, watched] : book_.watched())
        text += (text.size() == 2 ? " " : ";") + encode_watched(watched);
    return text;
}

std::string Guard::answer(std::string_view line) {
    const auto words = words_of(line);
    if (words.empty()) return "no malformed";
    if (words[0] == "container") return answer_watch(line);
    if (words[0] == "list" && words.size() == 1) return answer_list();
    if (words.size() != 2) return "no malformed";
    const std::string argument(words[1]);
    if (words[0] == "thaw") return answer_thaw(argument);
    if (words[0] == "kill") return answer_kill(argument);
    if (words[0] == "drop") {
        forget(argument);
        return "ok";
    }
    const auto sent = number_of(argument);
    // A heartbeat that was sent in the future would be a fence that never falls.
    if (words[0] != "heartbeat" || !sent || *sent > boot_clock_ms()) return "no malformed";
    book_.heartbeat(*sent);
    return "ok";
}

}  // namespace fallow::guard

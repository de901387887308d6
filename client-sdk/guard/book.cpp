#include "guard/book.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace fallow::guard {
namespace {

constexpr std::string_view book_version = "fallow-guard-book 1";
constexpr std::size_t id_characters_min = 8;
constexpr std::size_t id_characters_max = 128;
constexpr std::size_t watched_words = 11;

constexpr std::array<std::pair<WatchState, std::string_view>, 3> states = {{
    {WatchState::running, "running"},
    {WatchState::frozen, "frozen"},
    {WatchState::killed, "killed"},
}};
constexpr std::array<std::pair<FrozenBy, std::string_view>, 3> freezers = {{
    {FrozenBy::nothing, "nothing"},
    {FrozenBy::cgroup, "cgroup"},
    {FrozenBy::engine, "engine"},
}};

template <class Table, class Value>
std::string name_in(const Table& table, Value value) {
    for (const auto& [known, name] : table)
        if (known == value) return std::string(name);
    return {};
}

template <class Table, class Value>
bool read_name(const Table& table, std::string_view word, Value& value) {
    for (const auto& [known, name] : table)
        if (name == word) {
            value = known;
            return true;
        }
    return false;
}

std::string_view next_line(std::string_view& text) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    return line;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    while (!line.empty()) {
        const std::size_t end = std::min(line.find(' '), line.size());
        if (end > 0) words.push_back(line.substr(0, end));
        line.remove_prefix(std::min(end + 1, line.size()));
    }
    return words;
}

std::optional<std::int64_t> number_of(std::string_view word) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size() || value < 0) return std::nullopt;
    return value;
}

bool is_plain_id(std::string_view text) {
    const auto is_plain = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    return text.size() >= id_characters_min && text.size() <= id_characters_max &&
           std::all_of(text.begin(), text.end(), is_plain);
}

std::string encode_watched(const Watched& w) {
    std::string line = "container " + w.container + " " + w.lease;
    for (const std::int64_t number : {w.epoch, w.fence_ms, w.pid, w.start_ticks})
        line += " " + std::to_string(number);
    line += " " + name_in(states, w.state) + " " + name_in(freezers, w.frozen_by);
    return line + " " + std::to_string(w.frozen_boot_ms) + " " + std::to_string(w.thawed_boot_ms);
}

std::optional<Watched> parse_watched(std::string_view line) {
    const auto words = words_of(line);
    if (words.size() != watched_words || words[0] != "container" || !is_plain_id(words[1]) ||
        !is_plain_id(words[2]))
        return std::nullopt;
    Watched w;
    w.container = words[1];
    w.lease = words[2];
    const std::array<std::pair<std::size_t, std::int64_t*>, 6> numbers = {{{3, &w.epoch},
                                                                           {4, &w.fence_ms},
                                                                           {5, &w.pid},
                                                                           {6, &w.start_ticks},
                                                                           {9, &w.frozen_boot_ms},
                                                                           {10, &w.thawed_boot_ms}}};
    for (const auto& [at, target] : numbers) {
        const auto value = number_of(words[at]);
        if (!value) return std::nullopt;
        *target = *value;
    }
    if (!read_name(states, words[7], w.state) || !read_name(freezers, words[8], w.frozen_by))
        return std::nullopt;
    return w;
}

Book::Refusal Book::watch(const Watched& wanted) {
    for (const auto& [container, known] : watched_)
        if (known.lease == wanted.lease && known.epoch > wanted.epoch) return Refusal::stale_epoch;
    Watched* const known = find(wanted.container);
    if (known == nullptr) {
        Watched fresh = wanted;
        fresh.state = WatchState::running;
        fresh.frozen_by = FrozenBy::nothing;
        fresh.frozen_boot_ms = 0;
        fresh.thawed_boot_ms = 0;
        put(fresh);
        return Refusal::none;
    }
    if (known->state == WatchState::killed) return Refusal::killed_already;
    known->lease = wanted.lease;
    known->epoch = wanted.epoch;
    known->fence_ms = wanted.fence_ms;
    if (wanted.pid != 0) {
        known->pid = wanted.pid;
        known->start_ticks = wanted.start_ticks;
    }
    return Refusal::none;
}

std::vector<std::string> Book::outdated(std::string_view lease, std::int64_t epoch) const {
    std::vector<std::string> found;
    for (const auto& [container, known] : watched_)
        if (known.lease == lease && known.epoch < epoch && known.state != WatchState::killed)
            found.push_back(container);
    return found;
}

void Book::heartbeat(std::int64_t sent_boot_ms) {
    heartbeat_boot_ms_ = std::max(heartbeat_boot_ms_, sent_boot_ms);
}

Watched* Book::find(const std::string& container) {
    const auto at = watched_.find(container);
    return at == watched_.end() ? nullptr : &at->second;
}

std::int64_t Book::fence_of(const Watched& watched) const {
    return heartbeat_boot_ms_ == 0 ? 0 : heartbeat_boot_ms_ + watched.fence_ms;
}

bool Book::is_fenced(const Watched& watched, std::int64_t now) const {
    return now >= fence_of(watched);
}

std::int64_t Book::end_of_freeze(const Watched& watched) const {
    return (watched.state == WatchState::frozen ? watched.frozen_boot_ms : fence_of(watched)) +
           fenced_ms_max_;
}

std::vector<Due> Book::due(std::int64_t now) const {
    std::vector<Due> freezes;
    std::vector<Due> others;
    for (const auto& [container, watched] : watched_) {
        const bool is_too_long = now >= end_of_freeze(watched);
        if (watched.state == WatchState::frozen && is_too_long) {
            others.push_back({DueKind::kill, container});
        } else if (watched.state == WatchState::running && is_fenced(watched, now)) {
            freezes.push_back({DueKind::freeze, container});
            if (is_too_long && watched.pid == 0 && heartbeat_boot_ms_ != 0)
                others.push_back({DueKind::forget, container});
        }
    }
    freezes.insert(freezes.end(), others.begin(), others.end());
    return freezes;
}

std::optional<std::int64_t> Book::next_moment(std::int64_t now) const {
    std::optional<std::int64_t> next;
    for (const auto& [container, watched] : watched_) {
        if (watched.state == WatchState::killed) continue;
        for (const std::int64_t moment : {fence_of(watched), end_of_freeze(watched)})
            if (moment > now && (!next || moment < *next)) next = moment;
    }
    return next;
}

std::string Book::encode(std::string_view boot_id) const {
    std::string text = std::string(book_version) + "\nboot " + std::string(boot_id) + "\nheartbeat " +
                       std::to_string(heartbeat_boot_ms_) + "\n";
    for (const auto& [container, watched] : watched_)
        text += encode_watched(watched) + "\n";
    return text + "end\n";
}

Book Book::parse(std::string_view text, std::string_view boot_id, std::int64_t fenced_ms_max) {
    const Book empty(fenced_ms_max);
    Book book(fenced_ms_max);
    if (next_line(text) != book_version) return empty;
    if (next_line(text) != "boot " + std::string(boot_id)) return empty;
    const auto heartbeat = words_of(next_line(text));
    if (heartbeat.size() != 2 || heartbeat[0] != "heartbeat" || !number_of(heartbeat[1])) return empty;
    book.heartbeat_boot_ms_ = *number_of(heartbeat[1]);
    while (!text.empty()) {
        const std::string_view line = next_line(text);
        if (line == "end") return book;
        const auto watched = parse_watched(line);
        if (!watched) return empty;
        book.put(*watched);
    }
    return empty;
}

}  // namespace fallow::guard

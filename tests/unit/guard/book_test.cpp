// What the guard decides, on a clock of the test's own.
#include "guard/book.hpp"

#include <catch2/catch.hpp>
#include <functional>

using namespace fallow::guard;

namespace {

constexpr std::int64_t fenced_ms_max = 600'000;
const std::string first = "c0ffee0000000001";
const std::string second = "c0ffee0000000002";

Watched a_container(const std::string& id, std::int64_t epoch = 5, std::int64_t fence_ms = 10'000) {
    Watched watched;
    watched.container = id;
    watched.lease = "lease_0001";
    watched.epoch = epoch;
    watched.fence_ms = fence_ms;
    return watched;
}

/// One container, whose last acknowledged heartbeat was sent at 1,000,000.
Book a_book() {
    Book book(fenced_ms_max);
    book.heartbeat(1'000'000);
    REQUIRE(book.watch(a_container(first)) == Book::Refusal::none);
    return book;
}

std::string text_of(const std::vector<Due>& all) {
    std::string text;
    for (const Due& due : all) {
        const char* const name = due.kind == DueKind::freeze ? "freeze"
                                 : due.kind == DueKind::kill ? "kill"
                                                             : "forget";
        text += (text.empty() ? "" : " ") + std::string(name) + ":" + due.container.back();
    }
    return text;
}

}  // namespace

TEST_CASE("what is due, and when the guard has to look again") {
    struct Row {
        const char* situation;
        std::function<void(Book&)> change;
        std::int64_t now;
        const char* due;
        std::optional<std::int64_t> next;
    };
    const auto frozen_at = [](std::int64_t at) {
        return [at](Book& b) {
            b.find(first)->state = WatchState::frozen;
            b.find(first)->frozen_boot_ms = at;
        };
    };
    const auto nothing = [](Book&) {};
    const Row rows[] = {
        {"before the fence", nothing, 1'009'999, "", 1'010'000},
        {"at the fence", nothing, 1'010'000, "freeze:1", 1'610'000},
        {"a later heartbeat moves it", [](Book& b) { b.heartbeat(1'004'000); }, 1'013'999, "", 1'014'000},
        {"an older one does not", [](Book& b) { b.heartbeat(900'000); }, 1'010'000, "freeze:1", 1'610'000},
        {"a pinned rental's fence falls later", [](Book& b) { b.find(first)->fence_ms = 610'000; },
         1'609'999, "", 1'610'000},
        {"frozen, and the server still silent", frozen_at(1'010'000), 1'500'000, "", 1'610'000},
        {"frozen, and the server is back: the agent thaws, not the guard",
         [&](Book& b) {
             frozen_at(1'010'000)(b);
             b.heartbeat(1'500'000);
         },
         1'500'100, "", 1'510'000},
        {"frozen for ten minutes", frozen_at(1'010'000), 1'610'000, "kill:1", std::nullopt},
        {"killed", [](Book& b) { b.find(first)->state = WatchState::killed; }, 9'000'000, "", std::nullopt},
        {"never seen to start, and long fenced", nothing, 1'610'000, "freeze:1 forget:1", std::nullopt},
        {"seen to start: it is never just forgotten", [](Book& b) { b.find(first)->pid = 77; }, 1'610'000,
         "freeze:1", std::nullopt},
        {"freezes come before all else",
         [&](Book& b) {
             frozen_at(1'010'000)(b);
             Watched other = a_container(second);
             other.lease = "lease_0002";
             other.pid = 78;
             REQUIRE(b.watch(other) == Book::Refusal::none);
         },
         1'610'000, "freeze:2 kill:1", std::nullopt},
    };
    for (const Row& row : rows) {
        INFO(row.situation);
        Book book = a_book();
        row.change(book);
        CHECK(text_of(book.due(row.now)) == row.due);
        CHECK(book.next_moment(row.now) == row.next);
    }
}

TEST_CASE("without any acknowledged heartbeat the fence has fallen, and nothing is forgotten") {
    Book book(fenced_ms_max);
    REQUIRE(book.watch(a_container(first)) == Book::Refusal::none);
    CHECK(text_of(book.due(5'000'000)) == "freeze:1");
}

TEST_CASE("a lease's newer epoch outdates its older container, and an older epoch is refused") {
    Book book = a_book();
    CHECK(book.outdated("lease_0001", 5).empty());
    CHECK(book.outdated("lease_0001", 6) == std::vector{first});
    CHECK(book.outdated("lease_0002", 6).empty());
    CHECK(book.watch(a_container(second, 6)) == Book::Refusal::none);
    CHECK(book.watch(a_container(first, 5)) == Book::Refusal::stale_epoch);
}

TEST_CASE("watching again keeps what was done, and takes over what is newly known") {
    Book book = a_book();
    book.find(first)->state = WatchState::frozen;
    book.find(first)->frozen_boot_ms = 1'010'000;
    Watched again = a_container(first, 5, 20'000);
    again.pid = 42;
    again.start_ticks = 4200;
    CHECK(book.watch(again) == Book::Refusal::none);
    CHECK(book.find(first)->state == WatchState::frozen);
    CHECK(book.find(first)->frozen_boot_ms == 1'010'000);
    CHECK(book.find(first)->fence_ms == 20'000);
    CHECK(book.watch(a_container(first, 5, 20'000)) == Book::Refusal::none);
    CHECK(book.find(first)->pid == 42);
    book.find(first)->state = WatchState::killed;
    CHECK(book.watch(again) == Book::Refusal::killed_already);
}

TEST_CASE("the book comes back from disk as it was, under the same boot alone") {
    Book book = a_book();
    book.find(first)->state = WatchState::frozen;
    book.find(first)->frozen_by = FrozenBy::engine;
    book.find(first)->frozen_boot_ms = 1'010'003;
    book.find(first)->thawed_boot_ms = 900'000;
    book.find(first)->pid = 42;
    const std::string text = book.encode("boot-a");
    const Book again = Book::parse(text, "boot-a", fenced_ms_max);
    CHECK(again.watched() == book.watched());
    CHECK(again.heartbeat() == 1'000'000);
    CHECK(Book::parse(text, "boot-b", fenced_ms_max).watched().empty());
    // A book that was cut short is no book: half of what was watched would be worse than being told anew.
    for (std::size_t size = 0; size < text.size() - 1; ++size)
        CHECK(Book::parse(text.substr(0, size), "boot-a", fenced_ms_max).watched().empty());
}

TEST_CASE("a line that is not exactly a container's is none") {
    const std::string good = encode_watched(a_container(first));
    REQUIRE(parse_watched(good) == a_container(first));
    for (const std::string& bad :
         {std::string(), good + " 1", "x" + good,
          std::string("container ../../etc lease_0001 1 1 0 0 running nothing 0 0"),
          std::string("container c0ffee0000000001 lease_0001 1 -1 0 0 running nothing 0 0"),
          std::string("container c0ffee0000000001 lease_0001 1 1 0 0 walking nothing 0 0"),
          std::string("container c0ffee0000000001 lease_0001 1 1x 0 0 running nothing 0 0"),
          std::string("container c0ff lease_0001 1 1 0 0 running nothing 0 0")}) {
        INFO(bad);
        CHECK_FALSE(parse_watched(bad));
    }
}

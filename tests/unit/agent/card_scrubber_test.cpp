// Which cards guests have had outlives the agent, and what becomes of a try to overwrite one.
#include "agent/card_scrubber.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "agent/clock.hpp"
#include "agent/scrub_plan.hpp"
#include "agent/state.hpp"
#include "temporary_folder.hpp"

using namespace fallow::agent;
using fallow::agent::testing::TemporaryFolder;

namespace {

constexpr auto patience = std::chrono::seconds(60);

/// What its cards answer to a try, one after the other; with none left a try goes on until it is broken
/// off.
class ScriptedCards {
  public:
    using Answer = std::function<std::optional<ScrubResult>()>;

    void will(Answer answer) {
        const std::lock_guard lock(mutex_);
        answers_.push_back(std::move(answer));
    }
    std::optional<ScrubResult> next(const CardFacts& card, std::stop_token stop) {
        std::unique_lock lock(mutex_);
        asked_.push_back(card.uuid);
        changed_.notify_all();
        if (answers_.empty()) {
            changed_.wait(lock, stop, [] { return false; });
            return std::nullopt;
        }
        const Answer answer = std::move(answers_.front());
        answers_.pop_front();
        return answer();
    }
    /// Once so many tries have begun.
    std::vector<std::string> asked(std::size_t count) {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, patience, [&] { return asked_.size() >= count; }));
        return asked_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable_any changed_;
    std::deque<Answer> answers_;
    std::vector<std::string> asked_;
};

class ScriptedSource final : public CardSource {
  public:
    explicit ScriptedSource(ScriptedCards& cards) : cards_(cards) {}
    [[nodiscard]] FoundCards find(std::stop_token) override { return {}; }
    [[nodiscard]] std::optional<Verification> verify(const CardFacts&, std::stop_token) override {
        return std::nullopt;
    }
    [[nodiscard]] std::optional<ScrubResult> scrub(const CardFacts& card, std::stop_token stop) override {
        return cards_.next(card, stop);
    }

  private:
    ScriptedCards& cards_;
};

CardFacts a_card(const std::string& uuid, const std::string& backend = "nvml") {
    CardFacts card;
    card.uuid = uuid;
    card.backend = backend;
    return card;
}

LeaseCard leased(const std::string& uuid, const std::string& backend = "nvml") {
    return {.card_id = "card_" + uuid, .uuid = uuid, .backend = backend, .device_class = "gpu"};
}

ScrubResult overwritten(std::int64_t percent) {
    ScrubResult result;
    result.reported_bytes = 100LL << 20;
    result.scrubbed_bytes = percent << 20;
    return result;
}

/// The agent's cards and their scrubber, which can be killed and started anew.
class Bench {
  public:
    Bench() { start(); }

    void start() {
        scrubber.reset();
        scrubber = std::make_unique<CardScrubber>(
            ScrubberParts{.file = used_cards_file(folder.path()),
                          .connect = [this] { return std::make_unique<ScriptedSource>(cards); },
                          .cards = [this] { return found; },
                          .wake =
                              [this] {
                                  const std::lock_guard lock(mutex_);
                                  changed_.notify_all();
                              },
                          .offers_changed =
                              [this] {
                                  const std::lock_guard lock(mutex_);
                                  ++offers_changed_;
                              }});
    }

    /// As it is after a try.
    std::vector<UsedCard> tried(const std::string& uuid) {
        scrubber->scrub(uuid);
        return settled();
    }
    std::vector<UsedCard> settled() {
        std::unique_lock lock(mutex_);
        REQUIRE(changed_.wait_for(lock, patience, [&] {
            const auto used = scrubber->used();
            return std::ranges::none_of(used, &UsedCard::is_scrubbing);
        }));
        return scrubber->used();
    }
    std::string on_disk() { return read_file(used_cards_file(folder.path())); }
    int offers_changed() {
        const std::lock_guard lock(mutex_);
        return offers_changed_;
    }

    TemporaryFolder folder;
    ScriptedCards cards;
    std::vector<CardFacts> found = {a_card("GPU-1"), a_card("GPU-2"), a_card("CPU-1", "opencl")};

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    int offers_changed_ = 0;

  public:
    std::unique_ptr<CardScrubber> scrubber;  // last: its threads use all of the above
};

std::vector<std::string> uuids_of(const std::vector<UsedCard>& used) {
    std::vector<std::string> uuids;
    for (const UsedCard& card : used)
        uuids.push_back(card.uuid);
    return uuids;
}

}  // namespace

TEST_CASE("what guests have had is known to the next agent, but for what no guest is given") {
    Bench bench;
    CHECK(bench.scrubber->used().empty());
    bench.scrubber->note_guest({leased("GPU-1"), leased("CPU-1", "opencl"), leased("AMD-1", "amdgpu")});
    bench.scrubber->note_guest({leased("GPU-1")});
    bench.start();
    CHECK(uuids_of(bench.scrubber->used()) == std::vector<std::string>{"GPU-1"});
    // Its owner may have it meanwhile, which says nothing of what is left in it.
    bench.scrubber->note_withheld({{"GPU-1", "its owner has it"}});
    CHECK_FALSE(bench.scrubber->used()[0].is_withheld);
}

TEST_CASE("a card that is overwritten is as if no guest had ever had it") {
    Bench bench;
    bench.scrubber->note_guest({leased("GPU-1"), leased("GPU-2")});
    bench.cards.will([] { return overwritten(99); });
    CHECK(uuids_of(bench.tried("GPU-2")) == std::vector<std::string>{"GPU-1"});
    CHECK(bench.cards.asked(1) == std::vector<std::string>{"GPU-2"});
    CHECK(bench.on_disk().find("GPU-2") == std::string::npos);
    CHECK(bench.offers_changed() == 0);
}

TEST_CASE("a try that fails is told with its reason, and the next one comes later") {
    struct Row {
        const char* what;
        ScriptedCards::Answer answer;
        const char* problem;
    };
    for (const Row& row :
         {Row{"too little of it", [] { return overwritten(90); }, "only 90.0 MiB of its 100.0 MiB"},
          Row{"nothing, with a reason",
              [] {
                  ScrubResult result;
                  result.problem = "the driver has lost it";
                  return result;
              },
              "the driver has lost it"},
          Row{"all of it, but for a reason",
              [] {
                  ScrubResult result = overwritten(100);
                  result.problem = "an Xid";
                  return result;
              },
              "an Xid"},
          Row{"no answer", [] { return std::nullopt; }, "could not be overwritten now"},
          Row{"an exception", []() -> std::optional<ScrubResult> { throw std::runtime_error("no child"); },
              "no child"}}) {
        Bench bench;
        bench.scrubber->note_guest({leased("GPU-1")});
        bench.cards.will(row.answer);
        const std::int64_t began = boot_clock_ms();
        const auto used = bench.tried("GPU-1");
        INFO(row.what);
        REQUIRE(used.size() == 1);
        CHECK(used[0].failures == 1);
        CHECK_THAT(used[0].problem, Catch::Contains(row.problem));
        CHECK(used[0].next_try_boot_ms > began);
        // Its lease is still there: nothing has to be withheld.
        CHECK(bench.offers_changed() == 0);
    }
}

TEST_CASE("a card that the driver does not find is not overwritten") {
    Bench bench;
    bench.scrubber->note_guest({leased("GPU-9")});
    const auto used = bench.tried("GPU-9");
    REQUIRE(used.size() == 1);
    CHECK_THAT(used[0].problem, Catch::Contains("does not find"));
}

TEST_CASE("failures are counted across a restart, waits grow, and a success ends it") {
    Bench bench;
    bench.scrubber->note_guest({leased("GPU-1")});
    std::int64_t pause_ms = 1000;
    for (std::int64_t failures = 1; failures <= scrub_tries_max; ++failures) {
        bench.cards.will([] { return overwritten(0); });
        const std::int64_t began = boot_clock_ms();
        const auto used = bench.tried("GPU-1");
        REQUIRE(used.size() == 1);
        CHECK(used[0].failures == failures);
        CHECK(used[0].next_try_boot_ms - began >= pause_ms);
        pause_ms *= 2;
    }
    CHECK(bench.offers_changed() == 1);
    bench.start();
    const auto after = bench.scrubber->used();
    REQUIRE(after.size() == 1);
    CHECK(after[0].failures == scrub_tries_max);
    CHECK(after[0].next_try_boot_ms == 0);
    CHECK_FALSE(after[0].is_withheld);
    bench.scrubber->note_withheld({{"GPU-1", "why"}});
    CHECK(bench.scrubber->used()[0].is_withheld);
    bench.cards.will([] { return overwritten(97); });
    CHECK(bench.tried("GPU-1").empty());
    // Withheld after the last failure, offered after the success.
    CHECK(bench.offers_changed() == 2);
}

TEST_CASE("what is broken off for the owner is still to be overwritten, and is no failure") {
    Bench bench;
    bench.scrubber->note_guest({leased("GPU-1")});
    bench.scrubber->scrub("GPU-1");
    bench.scrubber->scrub("GPU-1");  // nothing: it is under way
    REQUIRE(bench.cards.asked(1).size() == 1);
    REQUIRE(bench.scrubber->used().size() == 1);
    CHECK(bench.scrubber->used()[0].is_scrubbing);
    bench.scrubber->abandon("GPU-1");
    const auto used = bench.settled();
    REQUIRE(used.size() == 1);
    CHECK(used[0].failures == 0);
    CHECK(bench.cards.asked(1).size() == 1);
    bench.scrubber->abandon("GPU-2");  // nothing: it was never begun
}

TEST_CASE("a guest that comes while its card is overwritten makes that void") {
    Bench bench;
    bench.scrubber->note_guest({leased("GPU-1")});
    bench.cards.will([&] {
        bench.scrubber->note_guest({leased("GPU-1")});
        return overwritten(100);
    });
    CHECK(uuids_of(bench.tried("GPU-1")) == std::vector<std::string>{"GPU-1"});
}

TEST_CASE("cards are overwritten beside each other") {
    Bench bench;
    bench.scrubber->note_guest({leased("GPU-1"), leased("GPU-2")});
    bench.scrubber->scrub("GPU-1");
    bench.scrubber->scrub("GPU-2");
    CHECK(bench.cards.asked(2).size() == 2);
    for (const UsedCard& card : bench.scrubber->used())
        CHECK(card.is_scrubbing);
    // An agent that ends breaks both off, and the next one knows.
    bench.start();
    CHECK(bench.scrubber->used().size() == 2);
}

TEST_CASE("where the file is damaged, guests may have had every card that they are given") {
    Bench bench;
    write_file_atomically(used_cards_file(bench.folder.path()), "{");
    bench.start();
    CHECK(uuids_of(bench.scrubber->used()) == std::vector<std::string>{"GPU-1", "GPU-2"});
    CHECK_THROWS_AS(parse_used_cards("[]"), std::runtime_error);
}

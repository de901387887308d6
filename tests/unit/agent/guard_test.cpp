// The guard with a clock of the test's own: nothing here waits for real time to pass but the guard's own
// polling.
#include "agent/guard.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <condition_variable>
#include <mutex>
#include <set>

using namespace fallow::agent;

namespace {

/// Records what the guard freezes, and lets a test wait for it.
class Freezer {
  public:
    std::atomic<std::int64_t> now = 1'000'000;
    std::atomic<int> failures_left = 0;

    GuardOptions options() {
        return {10'000, [this] { return now.load(); },
                [this](const std::string& id) {
                    const std::lock_guard lock(mutex_);
                    ++asked_;
                    changed_.notify_all();
                    if (failures_left.fetch_sub(1) > 0) throw std::runtime_error("the engine is busy");
                    frozen_.insert(id);
                    return true;
                }};
    }

    bool wait_for_frozen(std::size_t count) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(30), [&] { return frozen_.size() >= count; });
    }
    std::set<std::string> frozen() {
        const std::lock_guard lock(mutex_);
        return frozen_;
    }
    int asked() {
        const std::lock_guard lock(mutex_);
        return asked_;
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::set<std::string> frozen_;
    int asked_ = 0;
};

}  // namespace

TEST_CASE("all watched containers are frozen when the fence has passed, and the time is told") {
    Freezer freezer;
    std::atomic<std::int64_t> told = 0;
    Guard guard(freezer.options(), freezer.now);
    guard.watch("a", [&](std::int64_t at) { told = at; });
    guard.watch("b", [](std::int64_t) {});
    guard.watch("dropped", [](std::int64_t) {});
    guard.drop("dropped");
    freezer.now = 1'010'000;
    REQUIRE(freezer.wait_for_frozen(2));
    CHECK(freezer.frozen() == std::set<std::string>{"a", "b"});
    while (told == 0)
        std::this_thread::yield();
    CHECK(told == 1'010'000);
}

TEST_CASE("an acknowledged heartbeat moves the fence") {
    Freezer freezer;
    Guard guard(freezer.options(), freezer.now);
    guard.acknowledged(1'005'000);
    freezer.now = 1'014'999;
    guard.watch("a", [](std::int64_t) {});  // wakes the guard, which looks at the clock
    // A second container, watched once the fence has passed, proves that the guard has looked and left "a"
    // alone until then: both are frozen only after the clock has moved on.
    CHECK(freezer.asked() == 0);
    freezer.now = 1'015'000;
    REQUIRE(freezer.wait_for_frozen(1));
}

TEST_CASE("an older acknowledgement does not move the fence back") {
    Freezer freezer;
    Guard guard(freezer.options(), freezer.now);
    guard.acknowledged(1'008'000);
    guard.acknowledged(1'002'000);
    freezer.now = 1'017'000;
    guard.watch("a", [](std::int64_t) {});
    CHECK(freezer.asked() == 0);
}

TEST_CASE("a freeze that fails is tried again") {
    Freezer freezer;
    freezer.failures_left = 2;
    Guard guard(freezer.options(), freezer.now);
    guard.watch("a", [](std::int64_t) {});
    freezer.now = 1'020'000;
    REQUIRE(freezer.wait_for_frozen(1));
    CHECK(freezer.asked() == 3);
}

TEST_CASE("an acknowledgement from an earlier run of the agent counts") {
    Freezer freezer;
    Guard guard(freezer.options(), 980'000);
    guard.watch("a", [](std::int64_t) {});
    REQUIRE(freezer.wait_for_frozen(1));
}

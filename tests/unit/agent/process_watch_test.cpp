// A monitor that is a process of the test's own, and the files that a runtime would write. With Podman's
// own: tests/integration/agent/held_start_test.cpp.
#include "agent/process_watch.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <thread>

using namespace fallow::agent;

namespace {

namespace fs = std::filesystem;

constexpr auto patience = std::chrono::seconds(60);

class Monitor {
  public:
    Monitor() : pid_(::fork()) {
        REQUIRE(pid_ >= 0);
        if (pid_ == 0)
            for (;;)
                ::pause();
    }
    ~Monitor() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Monitor(const Monitor&) = delete;
    Monitor& operator=(const Monitor&) = delete;

    [[nodiscard]] pid_t pid() const { return pid_; }
    [[nodiscard]] bool is_stopped() const {
        std::ifstream file("/proc/" + std::to_string(pid_) + "/stat");
        std::string number;
        std::string name;
        char state = 0;
        file >> number >> name >> state;
        return state == 't';
    }
    /// False when that has not come for long.
    [[nodiscard]] bool becomes(bool stopped) const {
        const auto until = std::chrono::steady_clock::now() + patience;
        while (is_stopped() != stopped && std::chrono::steady_clock::now() < until)
            std::this_thread::yield();
        return is_stopped() == stopped;
    }

  private:
    pid_t pid_;
};

class Container {
  public:
    Container() {
        fs::create_directories(userdata());
        write("conmon.pid", std::to_string(monitor.pid()));
    }
    ~Container() { fs::remove_all(folder); }
    Container(const Container&) = delete;
    Container& operator=(const Container&) = delete;

    [[nodiscard]] fs::path userdata() const { return folder / "c0ffee" / "userdata"; }
    void write(const std::string& name, const std::string& text) const {
        std::ofstream(userdata() / ("." + name)) << text;
        fs::rename(userdata() / ("." + name), userdata() / name);
    }
    void begin_runtime() { log.open(userdata() / "oci-log"); }
    void end_runtime() { log.close(); }

    static fs::path make_folder() {
        std::string name = "/tmp/fallow-process-XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        return name;
    }

    fs::path folder = make_folder();
    Monitor monitor;
    std::ofstream log;
};

/// As far as the watch has come when it is sure of it: there is no process yet.
void hold(ProcessWatch& watch, Container& container) {
    std::promise<void> is_seen;
    container.begin_runtime();
    auto was_stopped = std::async(std::launch::async, [&] {
        const bool is_stopped = container.monitor.becomes(true);
        is_seen.set_value();
        return is_stopped;
    });
    CHECK(watch.await(is_seen.get_future()) == 0);
    CHECK(was_stopped.get());
    REQUIRE(watch.is_held());
}

}  // namespace

TEST_CASE("a start is held from before its process is known until it is let go") {
    REQUIRE(may_hold_processes());
    Container container;
    ProcessWatch watch(container.folder, "c0ffee", true);
    REQUIRE(watch.is_watching());
    hold(watch, container);
    CHECK(container.monitor.is_stopped());
    container.write("pidfile", "4711");
    std::promise<void> made;
    CHECK(watch.await(made.get_future()) == 4711);
    CHECK(watch.is_held());
    CHECK(container.monitor.is_stopped());
    watch.let_go();
    CHECK_FALSE(watch.is_held());
    CHECK(container.monitor.becomes(false));
}

TEST_CASE("a start whose process is known already is not held, and it is said") {
    Container container;
    ProcessWatch watch(container.folder, "c0ffee", true);
    std::promise<void> made;
    container.begin_runtime();
    container.write("pidfile", "4711");
    CHECK(watch.await(made.get_future()) == 4711);
    CHECK_FALSE(watch.is_held());
    CHECK(container.monitor.becomes(false));
}

TEST_CASE("a runtime that ends without a process leaves its monitor free to tell") {
    Container container;
    ProcessWatch watch(container.folder, "c0ffee", true);
    std::promise<void> made;
    container.begin_runtime();
    auto was_let_go = std::async(std::launch::async, [&] {
        const bool was_stopped = container.monitor.becomes(true);
        container.end_runtime();
        const bool goes_on = container.monitor.becomes(false);
        made.set_value();
        return was_stopped && goes_on;
    });
    CHECK(watch.await(made.get_future()) == 0);
    CHECK(was_let_go.get());
    CHECK_FALSE(watch.is_held());
}

TEST_CASE("a monitor goes on when the watch ends") {
    Container container;
    {
        ProcessWatch watch(container.folder, "c0ffee", true);
        hold(watch, container);
        CHECK(container.monitor.is_stopped());
    }
    CHECK(container.monitor.becomes(false));
}

TEST_CASE("a process is seen without being held, and none is where none is made") {
    Container container;
    ProcessWatch watch(container.folder, "c0ffee", false);
    std::promise<void> made;
    container.begin_runtime();
    if (GENERATE(true, false)) {
        container.write("pidfile", "4711");
        CHECK(watch.await(made.get_future()) == 4711);
    } else {
        made.set_value();
        CHECK(watch.await(made.get_future()) == 0);
    }
    CHECK_FALSE(watch.is_held());
    CHECK_FALSE(container.monitor.is_stopped());
}

TEST_CASE("what cannot be seen, or is of an earlier run, is not watched") {
    Container container;
    CHECK_FALSE(ProcessWatch("", "c0ffee", true).is_watching());
    CHECK_FALSE(ProcessWatch(container.folder, "decade", true).is_watching());
    CHECK(ProcessWatch(container.folder, "c0ffee", true).is_watching());
    container.begin_runtime();
    CHECK_FALSE(ProcessWatch(container.folder, "c0ffee", true).is_watching());
    CHECK(ProcessWatch(container.folder, "c0ffee", false).is_watching());
    container.write("pidfile", "4711");
    CHECK_FALSE(ProcessWatch(container.folder, "c0ffee", false).is_watching());
}

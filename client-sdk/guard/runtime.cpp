#include "guard/runtime.hpp"

#include "guard/process.hpp"

namespace fallow::guard {
namespace {

constexpr std::int64_t pause_timeout_ms = 500;
constexpr std::int64_t thaw_timeout_ms = 2000;

}  // namespace

EngineAnswer Runtime::pause_by_engine(const Watched& watched) {
    if (engine_is_silent_) return EngineAnswer::silent;
    const EngineAnswer answer = engine_.pause(watched.container, pause_timeout_ms);
    engine_is_silent_ = answer == EngineAnswer::silent;
    return answer;
}

Frozen Runtime::freeze(const Watched& watched, bool may_ask_engine) {
    if (const auto group = cgroups_.find(watched.container)) {
        if (Cgroups::is_frozen(*group)) return Frozen::was_already;
        if (!Cgroups::freeze(*group)) return Frozen::impossible;
        return Cgroups::is_frozen(*group) ? Frozen::by_cgroup : Frozen::not_yet;
    }
    const bool is_running = is_alive(watched.pid, watched.start_ticks);
    if (!is_running && watched.pid != 0) return Frozen::absent;
    if (may_ask_engine && pause_by_engine(watched) == EngineAnswer::done) return Frozen::by_engine;
    return is_running ? Frozen::impossible : Frozen::absent;
}

bool Runtime::is_frozen(const Watched& watched) const {
    const auto group = cgroups_.find(watched.container);
    return group && Cgroups::is_frozen(*group);
}

bool Runtime::thaw(const Watched& watched) {
    if (watched.frozen_by == FrozenBy::engine)
        return engine_.unpause(watched.container, thaw_timeout_ms) == EngineAnswer::done;
    const auto group = cgroups_.find(watched.container);
    return group && Cgroups::thaw(*group);
}

bool Runtime::kill(const Watched& watched) {
    bool done = false;
    if (const auto group = cgroups_.find(watched.container)) done = Cgroups::kill(*group);
    if (!done && !engine_is_silent_) {
        const EngineAnswer answer = engine_.kill(watched.container, pause_timeout_ms);
        engine_is_silent_ = answer == EngineAnswer::silent;
        done = answer == EngineAnswer::done;
        // A process that the engine has paused dies only when it is resumed.
        if (done && watched.frozen_by == FrozenBy::engine)
            engine_.unpause(watched.container, pause_timeout_ms);
    }
    return kill_process(watched.pid, watched.start_ticks) || done;
}

}  // namespace fallow::guard

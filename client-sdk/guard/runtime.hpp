// Freezes, thaws and kills a watched container by whatever works: its control group, else the engine, else,
// where nothing can pause it, an end to its first process.
#pragma once

#include <cstdint>
#include <string>

#include "guard/book.hpp"
#include "guard/cgroups.hpp"
#include "guard/engine_socket.hpp"

namespace fallow::guard {

enum class Frozen {
    by_cgroup,
    by_engine,
    was_already,  ///< its group was frozen before we came
    not_yet,      ///< asked for; processes are still within the kernel
    impossible,   ///< it runs, and nothing here can pause it
    absent,       ///< nothing of it runs, as far as can be seen
};

class Runtime {
  public:
    Runtime(Cgroups cgroups, EngineSocket engine)
        : cgroups_(std::move(cgroups)), engine_(std::move(engine)) {}

    /// `may_ask_engine`: false where it has just been asked in vain.
    [[nodiscard]] Frozen freeze(const Watched& watched, bool may_ask_engine);
    [[nodiscard]] bool is_frozen(const Watched& watched) const;
    bool thaw(const Watched& watched);
    /// False when nothing was found to be killed.
    bool kill(const Watched& watched);

    /// Forgets that the engine has been silent, which spares the others of a round the wait.
    void begin_round() { engine_is_silent_ = false; }

  private:
    EngineAnswer pause_by_engine(const Watched& watched);

    Cgroups cgroups_;
    EngineSocket engine_;
    bool engine_is_silent_ = false;
};

}  // namespace fallow::guard

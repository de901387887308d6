// The terminal at standard input: given to somebody else for a while, and told when it changes.
#pragma once

#include <termios.h>

#include <csignal>
#include <fallow/tunnel.hpp>
#include <optional>

namespace fallow::cli {

[[nodiscard]] bool is_terminal(int descriptor);
[[nodiscard]] sdk::TerminalSize terminal_size();

/// Passes every key on as it is, until it is destroyed.
class RawTerminal {
  public:
    RawTerminal();
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

  private:
    termios before_{};
    bool is_raw_ = false;
};

/// Signals that are read from a descriptor instead of interrupting the program.
class Signals {
  public:
    explicit Signals(std::initializer_list<int> numbers);
    ~Signals();
    Signals(const Signals&) = delete;
    Signals& operator=(const Signals&) = delete;

    [[nodiscard]] int descriptor() const { return descriptor_; }
    /// The next one that has come, or 0.
    [[nodiscard]] int take();

  private:
    sigset_t before_{};
    int descriptor_ = -1;
};

}  // namespace fallow::cli

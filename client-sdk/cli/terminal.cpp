#include "terminal.hpp"

#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace fallow::cli {

bool is_terminal(int descriptor) {
    return ::isatty(descriptor) == 1;
}

sdk::TerminalSize terminal_size() {
    winsize size{};
    if (::ioctl(STDIN_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
    return {size.ws_col, size.ws_row};
}

RawTerminal::RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios raw = before_;
    ::cfmakeraw(&raw);
    is_raw_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw) == 0;
}

RawTerminal::~RawTerminal() {
    if (is_raw_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

Signals::Signals(std::initializer_list<int> numbers) {
    sigset_t wanted;
    sigemptyset(&wanted);
    for (const int number : numbers)
        sigaddset(&wanted, number);
    pthread_sigmask(SIG_BLOCK, &wanted, &before_);
    descriptor_ = ::signalfd(-1, &wanted, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "signalfd");
}

Signals::~Signals() {
    if (descriptor_ >= 0) ::close(descriptor_);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int Signals::take() {
    signalfd_siginfo taken{};
    const ssize_t count = ::read(descriptor_, &taken, sizeof taken);
    return count == sizeof taken ? static_cast<int>(taken.ssi_signo) : 0;
}

}  // namespace fallow::cli

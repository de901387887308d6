// fallow-guard: its command line, and what it does to itself before it begins.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <string>
#include <string_view>

#include "guard/guard.hpp"

namespace {

using namespace fallow::guard;

constexpr const char* usage =
    "fallow-guard --state FOLDER --engine-socket SOCKET [--fenced-ms-max MS]\n"
    "             [--ready-fd FD] [--foreground] [--stay]\n"
    "\n"
    "Freezes the containers of a fallow-agent when the server has acknowledged no heartbeat for too long, "
    "also\n"
    "when the agent hangs or is dead. fallow-agent starts it and tells it what to watch; it ends by itself "
    "when\n"
    "nothing is left to watch. There is one for each state folder.\n"
    "\n"
    "  --state FOLDER        the agent's state folder: the socket, the lock and the book lie there\n"
    "  --engine-socket PATH  Unix socket of Podman or Docker, for containers without a control group\n"
    "  --fenced-ms-max MS    a container frozen for this long is killed (default 600000)\n"
    "  --ready-fd FD         written to, and closed, when the socket listens\n"
    "  --foreground          stay the caller's child\n"
    "  --stay                do not end when nothing is left to watch, as a service of its own\n"
    "  --help                this\n";

struct Arguments {
    std::string state_folder;
    GuardOptions options;
    bool foreground = false;
};

[[noreturn]] void refuse(const std::string& sentence) {
    std::fprintf(stderr, "fallow-guard: %s\n\n%s", sentence.c_str(), usage);
    std::exit(2);
}

std::int64_t number_or_refuse(std::string_view word) {
    const auto value = number_of(word);
    if (!value) refuse("not a number: " + std::string(word));
    return *value;
}

Arguments parse(int argc, char** argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string_view flag = argv[i];
        if (flag == "--help") {
            std::fputs(usage, stdout);
            std::exit(0);
        }
        if (flag == "--foreground" || flag == "--stay") {
            (flag == "--stay" ? arguments.options.stays : arguments.foreground) = true;
            continue;
        }
        if (++i == argc) refuse(std::string(flag) + " needs a value, or is not known");
        if (flag == "--state")
            arguments.state_folder = argv[i];
        else if (flag == "--engine-socket")
            arguments.options.engine_socket = argv[i];
        else if (flag == "--fenced-ms-max")
            arguments.options.fenced_ms_max = number_or_refuse(argv[i]);
        else if (flag == "--ready-fd")
            arguments.options.ready_fd = static_cast<int>(number_or_refuse(argv[i]));
        else
            refuse(std::string(flag) + " is not known");
    }
    if (arguments.state_folder.empty() || arguments.options.engine_socket.empty())
        refuse("--state and --engine-socket are needed");
    return arguments;
}

/// Nothing of the agent's is kept open but its standard error and the word that we are ready.
void close_what_was_inherited(int& ready_fd) {
    constexpr int first_free = STDERR_FILENO + 1;
    if (ready_fd >= first_free) {
        ::dup2(ready_fd, first_free);
        ready_fd = first_free;
    }
    ::close_range(static_cast<unsigned>(ready_fd >= 0 ? first_free + 1 : first_free), ~0U, 0);
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nothing < 0) return;
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(nothing, STDOUT_FILENO);
    ::close(nothing);
}

/// The caller's child ends at once; the guard is nobody's, and outlives them all.
void leave_the_caller() {
    const pid_t child = ::fork();
    if (child < 0) throw std::runtime_error("no process can be made");
    if (child > 0) ::_exit(0);
    ::setsid();
}

/// Where memory runs out, guests and the agent go first. Without the right to it, as for one who is not
/// root, the guard does without.
void survive_memory_pressure() {
    Log log;
    std::ofstream score("/proc/self/oom_score_adj");
    score << "-1000" << std::flush;
    if (!score) log.warn("it may be killed when memory runs out: CAP_SYS_RESOURCE is missing");
    if (::mlockall(MCL_CURRENT | MCL_FUTURE) != 0) log.warn("its memory can be paged out");
    ::setpriority(PRIO_PROCESS, 0, -10);
    log.flush();
}

}  // namespace

int main(int argc, char** argv) {
    try {
        Arguments arguments = parse(argc, argv);
        close_what_was_inherited(arguments.options.ready_fd);
        if (::chdir(arguments.state_folder.c_str()) != 0)
            throw std::runtime_error("there is no state folder " + arguments.state_folder);
        if (!arguments.foreground) leave_the_caller();
        const Descriptor lock = lock_folder();
        survive_memory_pressure();
        const EngineSocket engine(arguments.options.engine_socket);
        Guard guard(arguments.options, Runtime(Cgroups::here(), engine));
        guard.run();
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "fallow-guard: %s\n", error.what());
        return 1;
    }
}

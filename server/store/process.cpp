#include "store/process.hpp"

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <stdexcept>
#include <system_error>

namespace fallow::store {
namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

OsUser user_from(const passwd* entry, const std::string& wanted) {
    if (entry == nullptr) throw std::runtime_error("this system has no user " + wanted);
    OsUser user{entry->pw_name, entry->pw_uid, entry->pw_gid, {}};
    int count = 64;
    user.groups.resize(static_cast<std::size_t>(count));
    if (getgrouplist(entry->pw_name, entry->pw_gid, user.groups.data(), &count) < 0) {
        user.groups.resize(static_cast<std::size_t>(count));
        if (getgrouplist(entry->pw_name, entry->pw_gid, user.groups.data(), &count) < 0)
            throw std::runtime_error("cannot list the groups of " + wanted);
    }
    user.groups.resize(static_cast<std::size_t>(count));
    return user;
}

int status_from(int raw) {
    return WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
}

/// Between fork and exec: only calls that are safe there.
[[noreturn]] void become(const SpawnSettings& settings, char* const* arguments, char* const* environment,
                         int output, pid_t parent) {
    setsid();
    const int input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) _exit(126);
    const OsUser& user = settings.user;
    if (user.uid != geteuid() && (setgroups(user.groups.size(), user.groups.data()) != 0 ||
                                  setgid(user.gid) != 0 || setuid(user.uid) != 0))
        _exit(126);
    // Only now: a change of user clears it. The parent may have ended before it was set.
    if (settings.die_with_parent && (prctl(PR_SET_PDEATHSIG, SIGQUIT) != 0 || getppid() != parent))
        _exit(126);
    umask(077);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (std::signal(SIGPIPE, SIG_DFL) == SIG_ERR || close_range(3, ~0U, 0) != 0) _exit(126);
    execve(arguments[0], arguments, environment);
    _exit(127);
}

}  // namespace

OsUser current_user() {
    return user_from(getpwuid(geteuid()), "with id " + std::to_string(geteuid()));
}

OsUser user_named(const std::string& name) {
    return user_from(getpwnam(name.c_str()), name);
}

pid_t spawn(const SpawnSettings& settings) {
    const int output = open(settings.output.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (output < 0) fail("cannot write " + settings.output.string());
    std::vector<std::string> words = settings.arguments;
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    std::array<std::string, 2> variables{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8"};
    std::array<char*, 3> environment{variables[0].data(), variables[1].data(), nullptr};
    const pid_t parent = getpid();
    const pid_t pid = fork();
    if (pid == 0) become(settings, arguments.data(), environment.data(), output, parent);
    close(output);
    if (pid < 0) fail("cannot fork");
    return pid;
}

int wait_for_child(pid_t pid) {
    int raw = 0;
    while (waitpid(pid, &raw, 0) < 0) {
        if (errno != EINTR) fail("waitpid");
    }
    return status_from(raw);
}

std::optional<int> try_wait_for_child(pid_t pid) {
    int raw = 0;
    const pid_t ended = waitpid(pid, &raw, WNOHANG);
    return ended == pid ? std::optional<int>(status_from(raw)) : std::nullopt;
}

bool wait_for_end(pid_t pid, Millis timeout) {
    const int handle = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    if (handle < 0) {
        if (errno == ESRCH) return true;
        fail("pidfd_open");
    }
    pollfd watched{handle, POLLIN, 0};
    int ready = 0;
    do {
        ready = poll(&watched, 1, static_cast<int>(timeout.count));
    } while (ready < 0 && errno == EINTR);
    close(handle);
    return ready > 0;
}

}  // namespace fallow::store

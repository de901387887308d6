#include "agent/run_program.hpp"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

extern char** environ;

namespace fallow::agent {
namespace {

constexpr std::size_t said_bytes_max = 300;
constexpr std::size_t answer_bytes_max = 64 * 1024 * 1024;

/// A file in memory: a program that reads or writes it never waits for us.
class MemoryFile {
  public:
    MemoryFile() : number_(::memfd_create("fallow", MFD_CLOEXEC)) {
        if (number_ < 0)
            throw std::runtime_error(std::string("no file in memory: ") + std::strerror(errno));
    }
    ~MemoryFile() { ::close(number_); }
    MemoryFile(const MemoryFile&) = delete;
    MemoryFile& operator=(const MemoryFile&) = delete;

    [[nodiscard]] int number() const { return number_; }
    void fill(const std::string& text) const {
        if (::write(number_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            throw std::runtime_error("no memory for a program's input");
        ::lseek(number_, 0, SEEK_SET);
    }
    [[nodiscard]] std::string beginning() const {
        std::array<char, said_bytes_max> text{};
        const ssize_t length = ::pread(number_, text.data(), text.size(), 0);
        return length > 0 ? std::string(text.data(), static_cast<std::size_t>(length)) : std::string();
    }
    [[nodiscard]] std::string all() const {
        struct stat facts {};
        if (::fstat(number_, &facts) != 0 || static_cast<std::size_t>(facts.st_size) > answer_bytes_max)
            throw std::runtime_error("a program's answer is too long");
        std::string text(static_cast<std::size_t>(facts.st_size), '\0');
        const ssize_t length = ::pread(number_, text.data(), text.size(), 0);
        if (length != facts.st_size) throw std::runtime_error("a program's answer cannot be read");
        return text;
    }

  private:
    int number_;
};

void run_to_its_end(std::vector<std::string> words, const MemoryFile& given, const MemoryFile& answer,
                    const MemoryFile& said) {
    std::vector<char*> arguments;
    for (std::string& word : words)
        arguments.push_back(word.data());
    arguments.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, given.number(), 0);
    posix_spawn_file_actions_adddup2(&files, answer.number(), 1);
    posix_spawn_file_actions_adddup2(&files, said.number(), 2);
    pid_t pid = 0;
    const int error = posix_spawn(&pid, arguments[0], &files, nullptr, arguments.data(), environ);
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) throw std::runtime_error(words[0] + " cannot be run: " + std::strerror(error));
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    throw std::runtime_error(words[0] + " failed: " + said.beginning());
}

}  // namespace

void run_program(std::vector<std::string> words, const std::string& input) {
    const MemoryFile given;
    const MemoryFile said;
    given.fill(input);
    run_to_its_end(std::move(words), given, said, said);
}

std::string ask_program(std::vector<std::string> words) {
    const MemoryFile given;
    const MemoryFile answer;
    const MemoryFile said;
    run_to_its_end(std::move(words), given, answer, said);
    return answer.all();
}

}  // namespace fallow::agent

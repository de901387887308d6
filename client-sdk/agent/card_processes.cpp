#include "agent/card_processes.hpp"

#include <algorithm>
#include <filesystem>

#include "agent/file_head.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t container_id_digits = 64;
constexpr std::size_t program_bytes_max = 64;

bool is_hexadecimal(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

std::filesystem::path folder_of(std::int64_t pid) {
    return std::filesystem::path("/proc") / std::to_string(pid);
}

}  // namespace

std::string container_in(std::string_view groups) {
    for (std::size_t begin = 0; begin < groups.size();) {
        std::size_t end = begin;
        while (end < groups.size() && is_hexadecimal(groups[end]))
            ++end;
        if (end - begin == container_id_digits) return std::string(groups.substr(begin, end - begin));
        begin = end + 1;
    }
    return {};
}

std::string program_of(std::int64_t pid) {
    std::string program = file_head(folder_of(pid) / "comm", program_bytes_max);
    while (!program.empty() && program.back() == '\n')
        program.pop_back();
    std::ranges::replace_if(
        program, [](char c) { return c < ' ' || c > '~'; }, '?');
    return program;
}

void look_up(CardProcess& process) {
    process.program = program_of(process.pid);
    process.container = container_in(file_head(folder_of(process.pid) / "cgroup", group_bytes_max));
}

bool is_guests(const CardProcess& process, const std::vector<std::string>& containers) {
    if (process.program.empty()) return true;
    return !process.container.empty() &&
           std::ranges::find(containers, process.container) != containers.end();
}

std::string name_of(const CardProcess& process) {
    return std::to_string(process.pid) + " (" + (process.program.empty() ? "has ended" : process.program) +
           ")";
}

}  // namespace fallow::agent

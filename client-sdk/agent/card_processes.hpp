// Which processes are on a card: what its driver says of them, and what the kernel knows of each. All of it
// stays on this host: what a renter's programs are called is nobody else's affair.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::agent {

struct CardProcess {
    std::int64_t pid = 0;
    std::optional<std::int64_t> used_bytes =
        {};                      ///< of the card's memory; nothing: the driver does not say
    bool computes = true;        ///< else it only draws
    std::string program = {};    ///< empty: it has ended, and the driver has it still
    std::string container = {};  ///< the id of the one that it is in; empty: it is in none
    friend bool operator==(const CardProcess&, const CardProcess&) = default;
};

/// The id in proc(5)'s /proc/PID/cgroup: engines name a container's control group after it, in 64
/// hexadecimal digits. Empty when there is none.
[[nodiscard]] std::string container_in(std::string_view groups);

/// What the program of a process is called, with `?` for what cannot be printed: a guest chooses it, and
/// the owner's terminal shows it. Empty when there is no such process.
[[nodiscard]] std::string program_of(std::int64_t pid);

/// Asks the kernel for the program and the container.
void look_up(CardProcess& process);

/// Whether it is, or was, of one of these containers: of a process that has ended the kernel does not know
/// whose it was, and memory that it still has is nobody's yet.
[[nodiscard]] bool is_guests(const CardProcess& process, const std::vector<std::string>& containers);

/// "4711 (python3)"
[[nodiscard]] std::string name_of(const CardProcess& process);

}  // namespace fallow::agent

#include "agent/network_space.hpp"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>

namespace fallow::agent {
namespace {

[[noreturn]] void fail(const std::string& what) {
    throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

NetworkSpace::NetworkSpace(const std::string& path) : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (number_ < 0) fail("cannot open " + path);
}

NetworkSpace::~NetworkSpace() {
    ::close(number_);
}

std::string network_path_of(std::int64_t pid) {
    return "/proc/" + std::to_string(pid) + "/ns/net";
}

void in_thread(const std::function<void()>& act) {
    std::exception_ptr problem;
    std::thread([&] {
        try {
            act();
        } catch (...) {
            problem = std::current_exception();
        }
    }).join();
    if (problem) std::rethrow_exception(problem);
}

void within(int network, const std::function<void()>& act) {
    if (network == this_network) return act();
    in_thread([&] {
        if (::setns(network, CLONE_NEWNET) != 0) fail("cannot enter a network namespace");
        act();
    });
}

std::set<std::string> interface_names() {
    std::set<std::string> names;
    const std::unique_ptr<struct if_nameindex, decltype(&::if_freenameindex)> all(::if_nameindex(),
                                                                                  &::if_freenameindex);
    if (!all) fail("cannot list network interfaces");
    for (const struct if_nameindex* one = all.get(); one->if_index != 0; ++one)
        names.emplace(one->if_name);
    return names;
}

}  // namespace fallow::agent

// What is told the kernel of network interfaces without starting a program for it, over rtnetlink(7): the
// few things that a guest's line needs.
#pragma once

#include <cstdint>
#include <string>

#include "agent/netlink.hpp"

namespace fallow::agent {

/// Of the network namespace that the thread which makes it is in. Everything throws std::system_error.
class LinkSocket {
  public:
    LinkSocket();

    /// A line (veth(4)) from `name` here to `other` in the namespace that is held open as `network`, both
    /// ends down. To move an end there later would take the kernel some 20 ms, in which it waits for all
    /// that may still see it here.
    void add_line(const std::string& name, int network, const std::string& other);
    void set_up(const std::string& name);
    /// In either family, also one that is there. For one of IPv6 nobody is asked whether it is free; the
    /// kernel puts it in force a moment later, by a worker that waits while namespaces are taken down.
    void add_address(const std::string& name, const std::string& address, int prefix);
    void add_default_route(const std::string& gateway);

  private:
    void ask(NetlinkMessage& request, const std::string& what);

    NetlinkSocket kernel_;
    std::uint32_t sequence_ = 0;
};

}  // namespace fallow::agent

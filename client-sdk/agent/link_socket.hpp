// What is told the kernel of network interfaces without starting a program for it, over rtnetlink(7): the
// few things that a guest's line needs.
#pragma once

#include <cstdint>
#include <string>

namespace fallow::agent {

/// Of the network namespace that the thread which makes it is in. Everything throws std::system_error.
class LinkSocket {
  public:
    LinkSocket();
    ~LinkSocket();
    LinkSocket(const LinkSocket&) = delete;
    LinkSocket& operator=(const LinkSocket&) = delete;

    /// A line with these two ends (veth(4)), both of them here and down.
    void add_line(const std::string& name, const std::string& other);
    /// Into another namespace, which is held open there as `network`, and under another name. It has to be
    /// down, and is down there.
    void move(const std::string& name, int network, const std::string& new_name);
    void set_up(const std::string& name);
    /// In either family, also one that is there. One of IPv6 is used at once: nobody is asked whether it is
    /// free.
    void add_address(const std::string& name, const std::string& address, int prefix);
    void add_default_route(const std::string& gateway);

  private:
    class Request;
    void ask(Request& request, const std::string& what);

    int number_;
    std::uint32_t sequence_ = 0;
};

}  // namespace fallow::agent

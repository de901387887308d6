#include "agent/link_socket.hpp"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace fallow::agent {
namespace {

[[noreturn]] void fail(int error, const std::string& what) {
    throw std::system_error(error, std::generic_category(), what);
}

unsigned number_of_interface(const std::string& name) {
    const unsigned number = ::if_nametoindex(name.c_str());
    if (number == 0) fail(errno, "no interface " + name);
    return number;
}

/// As the kernel reads it.
struct Address {
    unsigned char family = AF_UNSPEC;
    std::size_t length = 0;
    std::array<std::uint8_t, 16> octets{};
};

Address parse(const std::string& text) {
    Address found;
    const bool is_ipv6 = text.find(':') != text.npos;
    found.family = is_ipv6 ? AF_INET6 : AF_INET;
    found.length = is_ipv6 ? sizeof(in6_addr) : sizeof(in_addr);
    if (::inet_pton(found.family, text.c_str(), found.octets.data()) != 1)
        fail(EINVAL, "not an address: " + text);
    return found;
}

}  // namespace

LinkSocket::LinkSocket() : kernel_(NETLINK_ROUTE) {}

void LinkSocket::ask(NetlinkMessage& request, const std::string& what) {
    const std::uint32_t sequence = ++sequence_;
    for (const NetlinkAnswer& answer : kernel_.send(request.numbered(sequence))) {
        if (!answer.is_verdict() || answer.sequence != sequence) continue;
        if (answer.error() != 0) fail(answer.error(), what);
        return;
    }
    fail(EPROTO, what);
}

void LinkSocket::add_line(const std::string& name, int network, const std::string& other) {
    const ifinfomsg subject{};
    NetlinkMessage request(RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, subject);
    request.add(IFLA_IFNAME, name);
    request.nest(IFLA_LINKINFO, [&] {
        request.add(IFLA_INFO_KIND, std::string("veth"));
        request.nest(IFLA_INFO_DATA, [&] {
            request.nest(VETH_INFO_PEER, subject, [&] {
                request.add(IFLA_NET_NS_FD, &network, sizeof network);
                request.add(IFLA_IFNAME, other);
            });
        });
    });
    ask(request, "no line between interfaces " + name + " and the guest's " + other);
}

void LinkSocket::set_up(const std::string& name) {
    ifinfomsg subject{};
    subject.ifi_family = AF_UNSPEC;
    subject.ifi_index = static_cast<int>(number_of_interface(name));
    subject.ifi_flags = IFF_UP;
    subject.ifi_change = IFF_UP;
    NetlinkMessage request(RTM_NEWLINK, NLM_F_ACK, subject);
    ask(request, "interface " + name + " cannot be switched on");
}

void LinkSocket::add_address(const std::string& name, const std::string& address, int prefix) {
    const Address added = parse(address);
    ifaddrmsg subject{};
    subject.ifa_family = added.family;
    subject.ifa_prefixlen = static_cast<std::uint8_t>(prefix);
    subject.ifa_flags = added.family == AF_INET6 ? IFA_F_NODAD : 0;
    subject.ifa_scope = RT_SCOPE_UNIVERSE;
    subject.ifa_index = number_of_interface(name);
    NetlinkMessage request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, subject);
    request.add(IFA_LOCAL, added.octets.data(), added.length);
    request.add(IFA_ADDRESS, added.octets.data(), added.length);
    ask(request, "interface " + name + " cannot have the address " + address);
}

void LinkSocket::add_default_route(const std::string& gateway) {
    const Address via = parse(gateway);
    rtmsg subject{};
    subject.rtm_family = via.family;
    subject.rtm_table = RT_TABLE_MAIN;
    subject.rtm_protocol = RTPROT_BOOT;
    subject.rtm_scope = RT_SCOPE_UNIVERSE;
    subject.rtm_type = RTN_UNICAST;
    NetlinkMessage request(RTM_NEWROUTE, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, subject);
    request.add(RTA_GATEWAY, via.octets.data(), via.length);
    ask(request, "no route by " + gateway);
}

}  // namespace fallow::agent

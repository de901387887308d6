#include "agent/link_socket.hpp"

#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <system_error>

namespace fallow::agent {
namespace {

constexpr std::size_t request_bytes_max = 512;
constexpr std::size_t answer_bytes_max = 8192;
constexpr std::size_t alignment = 4;  // of everything in a message

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

/// A message: its header, what it is about, and attributes.
class LinkSocket::Request {
  public:
    template <class Subject>
    Request(std::uint16_t type, unsigned flags, const Subject& subject) {
        header_.nlmsg_type = type;
        header_.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
        append(&header_, sizeof header_);
        append(&subject, sizeof subject);
    }

    void add(std::uint16_t type, const void* data, std::size_t length) {
        rtattr attribute{};
        attribute.rta_type = type;
        attribute.rta_len = static_cast<std::uint16_t>(sizeof attribute + length);
        append(&attribute, sizeof attribute);
        append(data, length);
    }
    void add(std::uint16_t type, const Address& address) {
        add(type, address.octets.data(), address.length);
    }
    void add(std::uint16_t type, const std::string& text) { add(type, text.c_str(), text.size() + 1); }

    /// An attribute of attributes: all that is added until its end, which is told by what this returns.
    [[nodiscard]] std::size_t begin(std::uint16_t type) {
        const std::size_t at = length_;
        rtattr attribute{};
        attribute.rta_type = type;
        append(&attribute, sizeof attribute);
        return at;
    }
    /// The same, with a subject of its own before them.
    template <class Subject>
    [[nodiscard]] std::size_t begin(std::uint16_t type, const Subject& subject) {
        const std::size_t at = begin(type);
        append(&subject, sizeof subject);
        return at;
    }
    void end(std::size_t at) {
        const auto length = static_cast<std::uint16_t>(length_ - at);
        std::memcpy(octets_.data() + at + offsetof(rtattr, rta_len), &length, sizeof length);
    }

    [[nodiscard]] std::string_view numbered(std::uint32_t sequence) {
        header_.nlmsg_len = static_cast<std::uint32_t>(length_);
        header_.nlmsg_seq = sequence;
        std::memcpy(octets_.data(), &header_, sizeof header_);
        return {octets_.data(), length_};
    }

  private:
    void append(const void* data, std::size_t length) {
        const std::size_t padded = (length + alignment - 1) / alignment * alignment;
        if (padded > octets_.size() - length_) fail(EMSGSIZE, "too much is asked of the kernel at once");
        std::memcpy(octets_.data() + length_, data, length);
        length_ += padded;
    }

    nlmsghdr header_{};
    std::array<char, request_bytes_max> octets_{};
    std::size_t length_ = 0;
};

LinkSocket::LinkSocket() : number_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE)) {
    if (number_ < 0) fail(errno, "no netlink socket");
}

LinkSocket::~LinkSocket() {
    ::close(number_);
}

/// The kernel has answered when the message is sent: nothing is waited for.
void LinkSocket::ask(Request& request, const std::string& what) {
    const std::string_view sent = request.numbered(++sequence_);
    if (::send(number_, sent.data(), sent.size(), 0) != static_cast<ssize_t>(sent.size()))
        fail(errno, what);
    std::array<std::uint8_t, answer_bytes_max> answer{};
    nlmsghdr header{};
    int error = 0;
    do {
        const ssize_t length = ::recv(number_, answer.data(), answer.size(), 0);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) fail(errno, what);
        if (static_cast<std::size_t>(length) < sizeof header + sizeof error) fail(EPROTO, what);
        std::memcpy(&header, answer.data(), sizeof header);
        // Of nlmsgerr; what follows is the message that was sent.
        std::memcpy(&error, answer.data() + sizeof header, sizeof error);
    } while (header.nlmsg_type != NLMSG_ERROR || header.nlmsg_seq != sequence_);
    if (error != 0) fail(-error, what);
}

void LinkSocket::add_line(const std::string& name, int network, const std::string& other) {
    const ifinfomsg subject{};
    Request request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, subject);
    request.add(IFLA_IFNAME, name);
    const std::size_t what = request.begin(IFLA_LINKINFO);
    request.add(IFLA_INFO_KIND, std::string("veth"));
    const std::size_t data = request.begin(IFLA_INFO_DATA);
    const std::size_t peer = request.begin(VETH_INFO_PEER, subject);
    request.add(IFLA_NET_NS_FD, &network, sizeof network);
    request.add(IFLA_IFNAME, other);
    request.end(peer);
    request.end(data);
    request.end(what);
    ask(request, "no line between interfaces " + name + " and the guest's " + other);
}

void LinkSocket::set_up(const std::string& name) {
    ifinfomsg subject{};
    subject.ifi_family = AF_UNSPEC;
    subject.ifi_index = static_cast<int>(number_of_interface(name));
    subject.ifi_flags = IFF_UP;
    subject.ifi_change = IFF_UP;
    Request request(RTM_NEWLINK, 0, subject);
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
    Request request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, subject);
    request.add(IFA_LOCAL, added);
    request.add(IFA_ADDRESS, added);
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
    Request request(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, subject);
    request.add(RTA_GATEWAY, via);
    ask(request, "no route by " + gateway);
}

}  // namespace fallow::agent

#include "agent/netlink.hpp"

#include <arpa/inet.h>
#include <endian.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

namespace fallow::agent {
namespace {

constexpr std::size_t answer_bytes_max = 8192;

[[noreturn]] void fail(int error, const char* what) {
    throw std::system_error(error, std::generic_category(), what);
}

std::uint16_t attribute_length(std::size_t length) {
    if (length > std::numeric_limits<std::uint16_t>::max())
        fail(EMSGSIZE, "too much is asked of the kernel at once");
    return static_cast<std::uint16_t>(length);
}

}  // namespace

void NetlinkMessage::append(const void* data, std::size_t length) {
    octets_.append(static_cast<const char*>(data), length);
    octets_.resize(NLMSG_ALIGN(octets_.size()));
}

void NetlinkMessage::add(unsigned type, const void* data, std::size_t length) {
    nlattr attribute{};
    attribute.nla_type = static_cast<std::uint16_t>(type);
    attribute.nla_len = attribute_length(sizeof attribute + length);
    append(&attribute, sizeof attribute);
    append(data, length);
}

void NetlinkMessage::add_number(unsigned type, std::uint32_t number) {
    const std::uint32_t sent = htonl(number);
    add(type, &sent, sizeof sent);
}

void NetlinkMessage::add_long_number(unsigned type, std::uint64_t number) {
    const std::uint64_t sent = htobe64(number);
    add(type, &sent, sizeof sent);
}

std::size_t NetlinkMessage::begin(unsigned type) {
    const std::size_t at = octets_.size();
    nlattr attribute{};
    attribute.nla_type = static_cast<std::uint16_t>(type | NLA_F_NESTED);
    append(&attribute, sizeof attribute);
    return at;
}

void NetlinkMessage::end(std::size_t at) {
    const std::uint16_t length = attribute_length(octets_.size() - at);
    std::memcpy(octets_.data() + at + offsetof(nlattr, nla_len), &length, sizeof length);
}

std::string_view NetlinkMessage::numbered(std::uint32_t sequence) {
    header_.nlmsg_len = static_cast<std::uint32_t>(octets_.size());
    header_.nlmsg_seq = sequence;
    std::memcpy(octets_.data(), &header_, sizeof header_);
    return octets_;
}

std::uint32_t number_in(std::string_view attributes, unsigned type) {
    nlattr attribute{};
    while (attributes.size() >= sizeof attribute) {
        std::memcpy(&attribute, attributes.data(), sizeof attribute);
        if (attribute.nla_len < sizeof attribute || attribute.nla_len > attributes.size()) break;
        std::uint32_t number = 0;
        if (attribute.nla_type == type && attribute.nla_len == sizeof attribute + sizeof number) {
            std::memcpy(&number, attributes.data() + sizeof attribute, sizeof number);
            return ntohl(number);
        }
        attributes.remove_prefix(
            std::min<std::size_t>(NLA_ALIGN(std::size_t{attribute.nla_len}), attributes.size()));
    }
    fail(EPROTO, "the kernel's answer lacks a number");
}

int NetlinkAnswer::error() const {
    int error = 0;
    if (payload.size() < sizeof error) return EPROTO;
    std::memcpy(&error, payload.data(), sizeof error);
    return -error;
}

NetlinkSocket::NetlinkSocket(int protocol)
    : number_(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {
    if (number_ < 0) fail(errno, "no netlink socket");
}

NetlinkSocket::~NetlinkSocket() {
    ::close(number_);
}

std::vector<NetlinkAnswer> NetlinkSocket::send(std::string_view messages) const {
    if (::send(number_, messages.data(), messages.size(), 0) != static_cast<ssize_t>(messages.size()))
        fail(errno, "the kernel takes no netlink message");
    std::vector<NetlinkAnswer> answers;
    while (take(answers)) {
    }
    return answers;
}

/// A datagram of them; false when there is none.
bool NetlinkSocket::take(std::vector<NetlinkAnswer>& answers) const {
    std::array<char, answer_bytes_max> octets{};
    const ssize_t length = ::recv(number_, octets.data(), octets.size(), MSG_DONTWAIT);
    if (length < 0 && errno == EINTR) return true;
    if (length < 0 && errno == EAGAIN) return false;
    if (length < 0) fail(errno, "the kernel's answer cannot be read");
    std::string_view rest(octets.data(), static_cast<std::size_t>(length));
    nlmsghdr header{};
    while (rest.size() >= sizeof header) {
        std::memcpy(&header, rest.data(), sizeof header);
        if (header.nlmsg_len < sizeof header || header.nlmsg_len > rest.size())
            fail(EPROTO, "the kernel's answer is longer than is read");
        answers.push_back({header.nlmsg_type, header.nlmsg_seq,
                           std::string(rest.substr(sizeof header, header.nlmsg_len - sizeof header))});
        rest.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(header.nlmsg_len), rest.size()));
    }
    return true;
}

}  // namespace fallow::agent

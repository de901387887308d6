#include "agent/ruleset_version.hpp"

#include <arpa/inet.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "guard/descriptor.hpp"

namespace fallow::agent {
namespace {

constexpr std::size_t answer_bytes_max = 1024;

[[noreturn]] void fail(int error) {
    throw std::system_error(error, std::generic_category(),
                            "the version of the nftables rules is not told");
}

/// Of an answer's attributes, which are aligned to four octets each.
std::uint32_t generation_in(const char* at, const char* end) {
    nlattr attribute{};
    while (static_cast<std::size_t>(end - at) >= sizeof attribute) {
        std::memcpy(&attribute, at, sizeof attribute);
        const std::size_t length = NLA_ALIGN(attribute.nla_len);
        if (attribute.nla_len < sizeof attribute || length > static_cast<std::size_t>(end - at)) break;
        std::uint32_t value = 0;
        if (attribute.nla_type == NFTA_GEN_ID && attribute.nla_len == sizeof attribute + sizeof value) {
            std::memcpy(&value, at + sizeof attribute, sizeof value);
            return ntohl(value);
        }
        at += length;
    }
    fail(EPROTO);
}

std::uint32_t generation() {
    struct {
        nlmsghdr header{};
        nfgenmsg subject{};
    } question;
    question.header.nlmsg_len = sizeof question;
    question.header.nlmsg_type = (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN;
    question.header.nlmsg_flags = NLM_F_REQUEST;
    question.subject.version = NFNETLINK_V0;
    const guard::Descriptor kernel(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
    if (kernel.get() < 0 || ::send(kernel.get(), &question, sizeof question, 0) != sizeof question)
        fail(errno);
    std::array<char, answer_bytes_max> answer{};
    ssize_t length = 0;
    // The kernel has answered when the question is sent: nothing is waited for.
    do {
        length = ::recv(kernel.get(), answer.data(), answer.size(), 0);
    } while (length < 0 && errno == EINTR);
    if (length < 0) fail(errno);
    nlmsghdr header{};
    constexpr std::size_t head_bytes = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
    if (static_cast<std::size_t>(length) < head_bytes) fail(EPROTO);
    std::memcpy(&header, answer.data(), sizeof header);
    int error = EPROTO;
    if (header.nlmsg_type == NLMSG_ERROR) std::memcpy(&error, answer.data() + NLMSG_HDRLEN, sizeof error);
    if (header.nlmsg_type == NLMSG_ERROR) fail(error < 0 ? -error : EPROTO);
    return generation_in(answer.data() + head_bytes, answer.data() + length);
}

}  // namespace

RulesetVersion ruleset_version() {
    struct stat facts {};
    if (::stat("/proc/thread-self/ns/net", &facts) != 0) fail(errno);
    return {facts.st_ino, generation()};
}

}  // namespace fallow::agent

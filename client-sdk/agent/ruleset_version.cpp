#include "agent/ruleset_version.hpp"

#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/stat.h>

#include <cerrno>
#include <system_error>

#include "agent/netlink.hpp"

namespace fallow::agent {
namespace {

[[noreturn]] void fail(int error) {
    throw std::system_error(error, std::generic_category(),
                            "the version of the nftables rules is not told");
}

std::uint32_t generation() {
    NetlinkMessage question((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, 0, nfgenmsg{});
    const auto answers = NetlinkSocket(NETLINK_NETFILTER).send(question.numbered(1));
    constexpr std::size_t subject_bytes = NLMSG_ALIGN(sizeof(nfgenmsg));
    if (answers.empty() || answers.front().payload.size() < subject_bytes) fail(EPROTO);
    const NetlinkAnswer& answer = answers.front();
    if (answer.is_verdict()) fail(answer.error());
    return number_in(std::string_view(answer.payload).substr(subject_bytes), NFTA_GEN_ID);
}

}  // namespace

RulesetVersion ruleset_version() {
    struct stat facts {};
    if (::stat("/proc/thread-self/ns/net", &facts) != 0) fail(errno);
    return {facts.st_ino, generation()};
}

}  // namespace fallow::agent

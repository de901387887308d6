#include "agent/rule_batch.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace fallow::agent {
namespace {

[[noreturn]] void refuse(int error, const std::string& step) {
    throw std::system_error(error, std::generic_category(),
                            "the kernel refuses a change of its rules for guests: " + step);
}

using InterfaceName = std::array<char, IFNAMSIZ>;

InterfaceName padded(const std::string& name) {
    InterfaceName padded{};
    if (name.size() >= padded.size())
        throw std::system_error(ENAMETOOLONG, std::generic_category(), "no interface is named " + name);
    std::ranges::copy(name, padded.begin());
    return padded;
}

NetlinkMessage frame_message(unsigned type) {
    nfgenmsg subject{};
    subject.res_id = htons(NFNL_SUBSYS_NFTABLES);
    return {type, 0, subject};
}

void name_object(NetlinkMessage& step, const std::string& table, std::uint32_t kind,
                 const std::string& name) {
    step.add(NFTA_OBJ_TABLE, table);
    step.add(NFTA_OBJ_NAME, name);
    step.add_number(NFTA_OBJ_TYPE, kind);
}

void name_chain(NetlinkMessage& step, const std::string& table, const std::string& name) {
    step.add(NFTA_CHAIN_TABLE, table);
    step.add(NFTA_CHAIN_NAME, name);
}

void name_rules(NetlinkMessage& step, const std::string& table, const std::string& chain) {
    step.add(NFTA_RULE_TABLE, table);
    step.add(NFTA_RULE_CHAIN, chain);
}

template <std::invocable Fill>
void add_expression(NetlinkMessage& rule, const char* name, Fill fill) {
    rule.nest(NFTA_LIST_ELEM, [&] {
        rule.add(NFTA_EXPR_NAME, std::string(name));
        rule.nest(NFTA_EXPR_DATA, fill);
    });
}

void refer_to(NetlinkMessage& rule, std::uint32_t kind, const std::string& name) {
    add_expression(rule, "objref", [&] {
        rule.add_number(NFTA_OBJREF_IMM_TYPE, kind);
        rule.add(NFTA_OBJREF_IMM_NAME, name);
    });
}

void prohibit(NetlinkMessage& rule) {
    add_expression(rule, "reject", [&] {
        constexpr std::uint8_t code = NFT_REJECT_ICMPX_ADMIN_PROHIBITED;
        rule.add_number(NFTA_REJECT_TYPE, NFT_REJECT_ICMPX_UNREACH);
        rule.add(NFTA_REJECT_ICMP_CODE, &code, sizeof code);
    });
}

void accept(NetlinkMessage& rule) {
    add_expression(rule, "immediate", [&] {
        rule.add_number(NFTA_IMMEDIATE_DREG, NFT_REG_VERDICT);
        rule.nest(NFTA_IMMEDIATE_DATA, [&] {
            rule.nest(NFTA_DATA_VERDICT, [&] { rule.add_number(NFTA_VERDICT_CODE, NF_ACCEPT); });
        });
    });
}

void add_key(NetlinkMessage& element, const std::string& interface_name) {
    const InterfaceName name = padded(interface_name);
    element.nest(NFTA_SET_ELEM_KEY, [&] { element.add(NFTA_DATA_VALUE, name.data(), name.size()); });
}

}  // namespace

/// What follows in the message is for the caller to add.
NetlinkMessage& RuleBatch::add_step(unsigned type, unsigned flags, std::string text) {
    nfgenmsg subject{};
    subject.nfgen_family = NFPROTO_INET;
    NetlinkMessage message((NFNL_SUBSYS_NFTABLES << 8) | type, NLM_F_ACK | flags, subject);
    return steps_.emplace_back(Step{std::move(text), std::move(message)}).message;
}

void RuleBatch::add_counter(const std::string& name, std::int64_t bytes) {
    NetlinkMessage& step =
        add_step(NFT_MSG_NEWOBJ, NLM_F_CREATE,
                 fmt::format("add counter inet {} {} {{ packets 0 bytes {} }}", table_, name, bytes));
    name_object(step, table_, NFT_OBJECT_COUNTER, name);
    step.nest(NFTA_OBJ_DATA, [&] {
        step.add_long_number(NFTA_COUNTER_BYTES, static_cast<std::uint64_t>(bytes));
        step.add_long_number(NFTA_COUNTER_PACKETS, 0);
    });
}

void RuleBatch::remove_counter(const std::string& name) {
    NetlinkMessage& step =
        add_step(NFT_MSG_DELOBJ, 0, fmt::format("delete counter inet {} {}", table_, name));
    name_object(step, table_, NFT_OBJECT_COUNTER, name);
}

void RuleBatch::add_quota(const std::string& name, std::int64_t limit, std::int64_t used) {
    NetlinkMessage& step = add_step(
        NFT_MSG_NEWOBJ, NLM_F_CREATE,
        fmt::format("add quota inet {} {} {{ over {} bytes used {} bytes }}", table_, name, limit, used));
    name_object(step, table_, NFT_OBJECT_QUOTA, name);
    step.nest(NFTA_OBJ_DATA, [&] {
        step.add_long_number(NFTA_QUOTA_BYTES, static_cast<std::uint64_t>(limit));
        step.add_long_number(NFTA_QUOTA_CONSUMED, static_cast<std::uint64_t>(used));
        step.add_number(NFTA_QUOTA_FLAGS, NFT_QUOTA_F_INV);
    });
}

void RuleBatch::remove_quota(const std::string& name) {
    NetlinkMessage& step =
        add_step(NFT_MSG_DELOBJ, 0, fmt::format("delete quota inet {} {}", table_, name));
    name_object(step, table_, NFT_OBJECT_QUOTA, name);
}

void RuleBatch::add_chain(const std::string& name) {
    NetlinkMessage& step =
        add_step(NFT_MSG_NEWCHAIN, NLM_F_CREATE, fmt::format("add chain inet {} {}", table_, name));
    name_chain(step, table_, name);
}

void RuleBatch::remove_chain(const std::string& name) {
    NetlinkMessage& step =
        add_step(NFT_MSG_DELCHAIN, 0, fmt::format("delete chain inet {} {}", table_, name));
    name_chain(step, table_, name);
}

void RuleBatch::flush_chain(const std::string& name) {
    NetlinkMessage& step =
        add_step(NFT_MSG_DELRULE, 0, fmt::format("flush chain inet {} {}", table_, name));
    name_rules(step, table_, name);
}

void RuleBatch::refuse_beyond(const std::string& chain, const std::string& quota,
                              const std::string& counter) {
    NetlinkMessage& step =
        add_step(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                 fmt::format("add rule inet {} {} quota name \"{}\" counter name \"{}\" reject with icmpx "
                             "admin-prohibited",
                             table_, chain, quota, counter));
    name_rules(step, table_, chain);
    step.nest(NFTA_RULE_EXPRESSIONS, [&] {
        refer_to(step, NFT_OBJECT_QUOTA, quota);
        refer_to(step, NFT_OBJECT_COUNTER, counter);
        prohibit(step);
    });
}

void RuleBatch::accept_counted(const std::string& chain, const std::string& counter) {
    NetlinkMessage& step =
        add_step(NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND,
                 fmt::format("add rule inet {} {} counter name \"{}\" accept", table_, chain, counter));
    name_rules(step, table_, chain);
    step.nest(NFTA_RULE_EXPRESSIONS, [&] {
        refer_to(step, NFT_OBJECT_COUNTER, counter);
        accept(step);
    });
}

void RuleBatch::add_way(const std::string& map, const std::string& interface_name,
                        const std::string& chain) {
    NetlinkMessage& step = add_step(
        NFT_MSG_NEWSETELEM, NLM_F_CREATE,
        fmt::format("add element inet {} {} {{ \"{}\" : goto {} }}", table_, map, interface_name, chain));
    step.add(NFTA_SET_ELEM_LIST_TABLE, table_);
    step.add(NFTA_SET_ELEM_LIST_SET, map);
    step.nest(NFTA_SET_ELEM_LIST_ELEMENTS, [&] {
        step.nest(NFTA_LIST_ELEM, [&] {
            add_key(step, interface_name);
            step.nest(NFTA_SET_ELEM_DATA, [&] {
                step.nest(NFTA_DATA_VERDICT, [&] {
                    step.add_number(NFTA_VERDICT_CODE, static_cast<std::uint32_t>(NFT_GOTO));
                    step.add(NFTA_VERDICT_CHAIN, chain);
                });
            });
        });
    });
}

void RuleBatch::remove_way(const std::string& map, const std::string& interface_name) {
    NetlinkMessage& step =
        add_step(NFT_MSG_DELSETELEM, 0,
                 fmt::format("delete element inet {} {} {{ \"{}\" }}", table_, map, interface_name));
    step.add(NFTA_SET_ELEM_LIST_TABLE, table_);
    step.add(NFTA_SET_ELEM_LIST_SET, map);
    step.nest(NFTA_SET_ELEM_LIST_ELEMENTS,
              [&] { step.nest(NFTA_LIST_ELEM, [&] { add_key(step, interface_name); }); });
}

void RuleBatch::append(const RuleBatch& later) {
    steps_.insert(steps_.end(), later.steps_.begin(), later.steps_.end());
}

std::vector<std::string> RuleBatch::steps() const {
    std::vector<std::string> texts;
    for (const Step& step : steps_)
        texts.push_back(step.text);
    return texts;
}

/// Steps are numbered from 1; the frame around them that makes one change of them is 0.
void RuleBatch::put_in_force() const {
    std::string messages(frame_message(NFNL_MSG_BATCH_BEGIN).numbered(0));
    std::uint32_t number = 0;
    for (Step step : steps_)
        messages += step.message.numbered(++number);
    messages += frame_message(NFNL_MSG_BATCH_END).numbered(0);
    std::uint32_t accepted = 0;
    for (const NetlinkAnswer& answer : NetlinkSocket(NETLINK_NETFILTER).send(messages)) {
        if (!answer.is_verdict() || answer.sequence > number) continue;
        if (answer.error() != 0)
            refuse(answer.error(), answer.sequence == 0 ? "all" : steps_[answer.sequence - 1].text);
        ++accepted;
    }
    if (accepted < number) refuse(EPROTO, "no answer to all");
}

}  // namespace fallow::agent

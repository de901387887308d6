// Changes of a table of nftables rules, told the kernel without starting a program for it
// (<linux/netfilter/nf_tables.h>): what is said often, and is the same each time but for its names.
// Composing one is pure.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "agent/netlink.hpp"

namespace fallow::agent {

/// Of a table of the family inet. Whatever is added may be there already, but for rules, and whatever is
/// removed has to be.
class RuleBatch {
  public:
    explicit RuleBatch(std::string table) : table_(std::move(table)) {}

    void add_counter(const std::string& name, std::int64_t bytes);
    void remove_counter(const std::string& name);
    /// Of octets; `used` of them are.
    void add_quota(const std::string& name, std::int64_t limit, std::int64_t used);
    void remove_quota(const std::string& name);
    void add_chain(const std::string& name);
    void remove_chain(const std::string& name);
    /// All its rules.
    void flush_chain(const std::string& name);
    /// At the chain's end: what is beyond the quota is counted, and its sender told that it is prohibited.
    void refuse_beyond(const std::string& chain, const std::string& quota, const std::string& counter);
    /// At the chain's end: everything is counted and let through.
    void accept_counted(const std::string& chain, const std::string& counter);
    /// From an interface to the chain that judges what it sends, in a map of such.
    void add_way(const std::string& map, const std::string& interface_name, const std::string& chain);
    void remove_way(const std::string& map, const std::string& interface_name);

    void append(const RuleBatch& later);

    [[nodiscard]] bool empty() const { return steps_.empty(); }
    /// As nft would be told each.
    [[nodiscard]] std::vector<std::string> steps() const;

    /// In the network namespace that the thread is in: all of it, or nothing. Throws std::system_error with
    /// the step that the kernel refuses.
    void put_in_force() const;

  private:
    struct Step {
        std::string text;
        NetlinkMessage message;
    };
    NetlinkMessage& add_step(unsigned type, unsigned flags, std::string text);

    std::string table_;
    std::vector<Step> steps_;
};

}  // namespace fallow::agent

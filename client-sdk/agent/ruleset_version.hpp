// Whether anybody has changed the nftables rules of a network namespace, without listing them: the kernel
// counts the changes of each (NFT_MSG_GETGEN of <linux/netfilter/nf_tables.h>).
#pragma once

#include <cstdint>

namespace fallow::agent {

struct RulesetVersion {
    std::uint64_t network = 0;  ///< the namespace, by its inode
    std::uint32_t generation =
        0;  ///< one more for each change that was put in force as a whole; begins anew
    friend bool operator==(const RulesetVersion&, const RulesetVersion&) = default;

    /// What one change makes of it.
    [[nodiscard]] RulesetVersion next() const { return {network, generation + 1}; }
};

/// Of the network namespace that the thread is in. Throws std::system_error.
[[nodiscard]] RulesetVersion ruleset_version();

}  // namespace fallow::agent

// The ends of a gang's private network: each of its hosts tells where its own is and by which key it is
// known, once its container waits for the others, and reads all of them in its desired state.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "store/transaction.hpp"

namespace fallow::api {

struct GangMember {
    OrderId order;
    std::int32_t rank = 0;
    std::string public_key;  ///< WireGuard's (X25519), in base64
    std::string endpoint;    ///< "198.41.0.4:51820", "[2001:db8::4]:51820"
};

struct ToldGangMember {
    std::int64_t lease_epoch = 0;
    std::string public_key;
    std::string endpoint;
};
[[nodiscard]] Result<ToldGangMember> decode_gang_member(std::string_view body);

/// Address and port in figures: a host that is told a name would have to ask somebody for it.
[[nodiscard]] bool is_gang_endpoint(const std::string& text);

/// Of these orders, as far as they were told, by order and rank. The transaction is a host's that is in
/// them.
[[nodiscard]] std::vector<GangMember> read_gang_members(store::Transaction& tx,
                                                        const std::vector<OrderId>& orders);

}  // namespace fallow::api

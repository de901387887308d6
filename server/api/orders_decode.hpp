// Bodies of the renter's routes.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "market/commands.hpp"

namespace fallow::api {

struct DecodedOrder {
    market::PlaceOrder command;
    std::vector<ArtifactId>
        inputs;  ///< of its job: they must exist and be complete before the order is placed
};

[[nodiscard]] Result<DecodedOrder> decode_order(std::string_view body);
[[nodiscard]] Result<market::ChangeBid> decode_bid(std::string_view body, OrderId order);

}  // namespace fallow::api

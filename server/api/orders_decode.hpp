// Bodies of the renter's routes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/field_decode.hpp"
#include "auth/signing.hpp"
#include "base/result.hpp"
#include "market/commands.hpp"

namespace fallow::api {

struct DecodedOrder {
    market::PlaceOrder command;
    std::vector<ArtifactId>
        inputs;  ///< of its job: they must exist and be complete before the order is placed
    std::vector<std::string> secrets;                 ///< of its job: they must exist before that, too
    std::optional<std::string> registry_secret = {};  ///< as one of those
};

[[nodiscard]] Result<DecodedOrder> decode_order(std::string_view body);
[[nodiscard]] Result<market::ChangeBid> decode_bid(std::string_view body, OrderId order);
/// An order that brings a quote names no price limit: the quote is one. `key` is the server's, which must
/// have signed it.
[[nodiscard]] Result<DecodedOrder> decode_order(std::string_view body, const auth::SigningKey& key);

[[nodiscard]] Result<market::MakeQuote> decode_quote_request(std::string_view body);

// What an order, a quote and a reservation have in common.
[[nodiscard]] market::Requirements read_requirements(FieldReader& reader);
[[nodiscard]] ledger::Price read_price_max(FieldReader& reader);
/// The quote in `reader`, when this server has signed it; then there may be no price limit beside it.
[[nodiscard]] std::optional<ledger::QuoteFacts> read_quote(FieldReader& reader,
                                                           const auth::SigningKey& key);

}  // namespace fallow::api

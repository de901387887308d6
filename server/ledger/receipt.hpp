// A receipt: the statement of what a lease used and cost, as the exact bytes that are signed and kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "ledger/metering.hpp"

namespace fallow::ledger {

/// A stretch of a lease at one price.
struct Segment {
    Price price;
    Millis running;
};

struct ReceiptFacts {
    std::string server_key;  ///< base64 of the Ed25519 public key that will sign
    LeaseId lease;
    OrderId order;
    OrganizationId renter;
    OrganizationId seller;
    HostId host;
    ListingId listing;
    std::vector<CardId> cards;
    std::int32_t thousandths = 0;
    std::optional<Time> started_at;
    Time ended_at;
    std::string_view end_reason;
    std::vector<Segment> segments;
    std::int64_t storage_bytes = 0;  ///< reserved while it ran
    Micros storage_price;            ///< of a GiB for a month
    Micros egress_price;             ///< of a GiB sent
    Meter meter;
    std::optional<std::string> usage_sha256;  ///< of the last usage statement, when the host has signed one
};

/// Lines "name: value", '\n' after each, in a fixed order; the first line is "fallow-receipt-v1". Where
/// storage was charged, its bytes, price, rate and part of the charge follow the segments; where traffic
/// was, its MiB, price and part follow those. A part is what it adds to the charge of what stands before
/// it. The signers line says "server+host" only when a usage statement signed by the host stands behind the
/// numbers.
[[nodiscard]] std::string receipt_text(const ReceiptFacts& facts);

}  // namespace fallow::ledger

// Offline verification of a receipt, by anyone who pinned the server's key when it was still a friend's.
//
// Nothing inside the receipt is trusted for being there: the pinned key must have signed the receipt and
// the host's key, the host's key must have signed the usage, and the charge must follow from the figures.
// It says whether the document is genuine and consistent, not whether the job did what it should.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fallow::sdk {

struct ReceiptCheck {
    std::string name;
    bool passed = false;
    std::string detail;  ///< a sentence for a person
};

struct ReceiptSegment {
    std::int64_t price_micros_per_hour = 0;
    std::int64_t running_ms = 0;
};

/// What working storage cost; a receipt has it where it cost something.
struct ReceiptStorage {
    std::int64_t bytes = 0;
    std::int64_t micros_per_gib_month = 0;
    std::int64_t nanos_per_hour = 0;  ///< floor(bytes × price × 1000 / (2^30 × 730))
    std::int64_t micros = 0;          ///< its part of the charge
};

/// What was sent to the internet, in whole MiB; a receipt has it where it cost something.
struct ReceiptTraffic {
    std::int64_t mib = 0;
    std::int64_t micros_per_gib = 0;
    std::int64_t micros = 0;  ///< its part of the charge
};

/// What the receipt says. To be believed only if every check passed.
struct ReceiptFacts {
    std::string server_key;
    std::string lease;
    std::string order;
    std::string renter;
    std::string seller;
    std::string host;
    std::string listing;
    std::string cards;
    std::int64_t thousandths = 0;
    std::optional<std::string> started_at;
    std::string ended_at;
    std::string end_reason;
    std::vector<ReceiptSegment> segments;
    std::optional<ReceiptStorage> storage;
    std::optional<ReceiptTraffic> traffic;
    std::int64_t running_ms = 0;
    std::int64_t charged_micros = 0;
    std::int64_t fee_micros = 0;
    std::optional<std::string> usage_sha256;
    bool host_signed = false;
};

struct ReceiptReport {
    std::vector<ReceiptCheck> checks;   ///< always all of them, in the same order
    std::optional<ReceiptFacts> facts;  ///< nothing when the text has not the form of a receipt
    [[nodiscard]] bool passed() const;
};

/// `receipt_json` is the document of GET /v1/leases/{lease}/receipt, `pinned_server_key` the base64 line of
/// the server's server_signing.pub. The checks: form, server_key, server_signature, signers, host_key,
/// usage_digest, usage_signature, usage_lease, usage_running, running_sum, charge, storage, traffic,
/// period.
[[nodiscard]] ReceiptReport verify_receipt(std::string_view receipt_json,
                                           std::string_view pinned_server_key);

/// The text of a receipt, or nothing when a line is missing, twice, out of order or malformed.
[[nodiscard]] std::optional<ReceiptFacts> parse_receipt_text(std::string_view text);

/// floor((Σ (price × thousandths + storage) × running_ms + MiB × price of a GiB × 3,515,625) / 3.6e9), or
/// nothing when that does not fit.
[[nodiscard]] std::optional<std::int64_t> charge_of(
    const std::vector<ReceiptSegment>& segments, std::int64_t thousandths,
    std::int64_t storage_nanos_per_hour = 0, const std::optional<ReceiptTraffic>& traffic = std::nullopt);

}  // namespace fallow::sdk

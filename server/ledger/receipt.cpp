#include "ledger/receipt.hpp"

#include <fmt/format.h>

#include <iterator>

namespace fallow::ledger {
namespace {

std::string joined(const std::vector<CardId>& cards) {
    std::string text;
    for (const CardId card : cards)
        text += (text.empty() ? "" : ",") + card.text();
    return text;
}

}  // namespace

std::string receipt_text(const ReceiptFacts& facts) {
    std::string text = "fallow-receipt-v1\n";
    const auto line = [&](std::string_view name, const auto& value) {
        fmt::format_to(std::back_inserter(text), "{}: {}\n", name, value);
    };
    line("server_key", facts.server_key);
    line("lease", facts.lease.text());
    line("order", facts.order.text());
    line("renter", facts.renter.text());
    line("seller", facts.seller.text());
    line("host", facts.host.text());
    line("listing", facts.listing.text());
    line("cards", joined(facts.cards));
    line("thousandths", facts.thousandths);
    line("started_at", facts.started_at ? to_rfc3339(*facts.started_at) : "none");
    line("ended_at", to_rfc3339(facts.ended_at));
    line("end_reason", facts.end_reason);
    for (const Segment& segment : facts.segments)
        line("segment", fmt::format("{} {}", segment.price.micros_per_hour, segment.running.count));
    const Traffic traffic{facts.egress_price, facts.meter.egress_mib};
    const Int128 of_time = facts.meter.numerator - traffic.numerator();
    if (const auto nanos = storage_nanos_per_hour(facts.storage_price, facts.storage_bytes); nanos > 0) {
        const Int128 of_cards = of_time - static_cast<Int128>(nanos) * facts.meter.running.count;
        const Int128 part = of_time / numerator_per_micro - of_cards / numerator_per_micro;
        line("storage_bytes", facts.storage_bytes);
        line("storage_micros_per_gib_month", facts.storage_price.count);
        line("storage_nanos_per_hour", nanos);
        line("storage_micros", static_cast<std::int64_t>(part));
    }
    if (traffic.numerator() > 0) {
        line("egress_mib", traffic.mib);
        line("egress_micros_per_gib", traffic.per_gib.count);
        line("egress_micros", traffic_part(facts.meter, traffic.per_gib).count);
    }
    line("running_ms", facts.meter.running.count);
    line("charged_micros", facts.meter.charged.count);
    line("fee_micros", facts.meter.fee.count);
    line("usage_sha256", facts.usage_sha256.value_or("none"));
    line("signers", facts.usage_sha256 ? "server+host" : "server");
    return text;
}

}  // namespace fallow::ledger

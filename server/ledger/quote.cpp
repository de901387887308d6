#include "ledger/quote.hpp"

#include <fmt/format.h>

#include <iterator>

namespace fallow::ledger {
namespace {

// The sum of all parts over all hosts stays below 2^63.
static_assert((numerator_max / numerator_per_micro + 2 +
               static_cast<Int128>(limits::egress_micros_per_gib_max) * limits::quoted_gib_max) *
                  limits::hosts_per_order_max <
              (static_cast<Int128>(1) << 63));

}  // namespace

QuoteCost cost_of(const QuoteFacts& facts) {
    QuoteCost cost;
    for (const QuotedHost& host : facts.hosts) {
        const std::int64_t stored =
            storage_nanos_per_hour(host.storage_price, facts.stored_gib * bytes_per_gib);
        const std::int32_t thousandths = facts.count * facts.thousandths;
        cost.cards = cost.cards + cost_ceiling({host.price, thousandths, 0}, facts.term);
        cost.storage = cost.storage + cost_ceiling({Price(0), 0, stored}, facts.term);
        cost.traffic = cost.traffic + Micros(host.egress_price.count * facts.moved_gib);
        cost.hourly = cost.hourly + hourly({host.price, thousandths, stored});
    }
    cost.total = cost.cards + cost.storage + cost.traffic;
    cost.fee = fee_of(cost.total, facts.fee_ppm);
    return cost;
}

std::string quote_text(const QuoteFacts& facts) {
    const QuoteCost cost = cost_of(facts);
    std::string text = "fallow-quote-v2\n";
    const auto line = [&](std::string_view name, const auto& value) {
        fmt::format_to(std::back_inserter(text), "{}: {}\n", name, value);
    };
    line("server_key", facts.server_key);
    line("quote", facts.quote.text());
    line("renter", facts.renter.text());
    line("count", facts.count);
    line("thousandths", facts.thousandths);
    line("term_ms", facts.term.count);
    line("fee_ppm", facts.fee_ppm);
    line("stored_gib", facts.stored_gib);
    line("moved_gib", facts.moved_gib);
    // Listing, seller, and the prices of a card-hour, a GiB-month stored and a GiB moved.
    for (const QuotedHost& host : facts.hosts)
        line("host",
             fmt::format("{} {} {} {} {}", host.listing.text(), host.seller.text(),
                         host.price.micros_per_hour, host.storage_price.count, host.egress_price.count));
    line("cards_micros", cost.cards.count);
    line("storage_micros", cost.storage.count);
    line("traffic_micros", cost.traffic.count);
    line("total_micros", cost.total.count);
    line("fee_micros", cost.fee.count);
    if (facts.block) {
        line("starts_at", to_rfc3339(facts.block->starts_at));
        line("deposit_micros", facts.block->deposit.count);
        line("cancel_free_until", to_rfc3339(facts.block->cancel_free_until));
        line("cancel_kept_micros", facts.block->cancel_kept.count);
        line("cancel_kept_ppm", facts.block->cancel_kept_ppm);
        line("penalty_micros", facts.block->penalty.count);
        line("penalty_ppm", facts.block->penalty_ppm);
    }
    line("quoted_at", to_rfc3339(facts.quoted_at));
    line("expires_at", to_rfc3339(facts.expires_at));
    return text;
}

}  // namespace fallow::ledger

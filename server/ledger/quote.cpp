#include "ledger/quote.hpp"

#include <fmt/format.h>

#include <iterator>

namespace fallow::ledger {
namespace {

constexpr std::int64_t month_ms = days(30).count;

// Every part, and their sum, stays below 2^63.
static_assert(static_cast<Int128>(limits::storage_micros_per_gib_month_max) * limits::quoted_gib_max *
                  limits::term_ms_max / month_ms <
              (static_cast<Int128>(1) << 61));
static_assert(static_cast<Int128>(limits::egress_micros_per_gib_max) * limits::quoted_gib_max <
              (static_cast<Int128>(1) << 61));
static_assert(numerator_max / numerator_per_micro < (static_cast<Int128>(1) << 61));

}  // namespace

QuoteCost cost_of(const QuoteFacts& facts) {
    QuoteCost cost;
    cost.cards = cost_ceiling(facts.price, facts.count * limits::thousandths_per_card, facts.term);
    const Int128 stored =
        static_cast<Int128>(facts.storage_price.count) * facts.stored_gib * facts.term.count;
    cost.storage = Micros(static_cast<std::int64_t>((stored + month_ms - 1) / month_ms));
    cost.traffic = Micros(facts.egress_price.count * facts.moved_gib);
    cost.total = cost.cards + cost.storage + cost.traffic;
    cost.fee = fee_of(cost.total, facts.fee_ppm);
    return cost;
}

std::string quote_text(const QuoteFacts& facts) {
    const QuoteCost cost = cost_of(facts);
    std::string text = "fallow-quote-v1\n";
    const auto line = [&](std::string_view name, const auto& value) {
        fmt::format_to(std::back_inserter(text), "{}: {}\n", name, value);
    };
    line("server_key", facts.server_key);
    line("quote", facts.quote.text());
    line("renter", facts.renter.text());
    line("seller", facts.seller.text());
    line("listing", facts.listing.text());
    line("count", facts.count);
    line("term_ms", facts.term.count);
    line("price_micros_per_hour", facts.price.micros_per_hour);
    line("fee_ppm", facts.fee_ppm);
    line("stored_gib", facts.stored_gib);
    line("storage_micros_per_gib_month", facts.storage_price.count);
    line("moved_gib", facts.moved_gib);
    line("egress_micros_per_gib", facts.egress_price.count);
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

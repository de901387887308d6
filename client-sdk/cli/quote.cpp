#include <fmt/format.h>

#include <fallow/human.hpp>
#include <fallow/quote_verify.hpp>
#include <memory>

#include "commands.hpp"
#include "demand.hpp"
#include "options.hpp"
#include "receipt_json.hpp"
#include "verification.hpp"

namespace fallow::cli {
namespace {

Columns<Quote> quote_fields() {
    return {
        {"id", [](const Quote& quote) { return quote.id; }},
        {"listing", [](const Quote& quote) { return quote.listing_id; }},
        {"cards", [](const Quote& quote) { return std::to_string(quote.count); }},
        {"of each card", [](const Quote& quote) { return format_thousandths(quote.thousandths); }},
        {"hosts", [](const Quote& quote) { return std::to_string(quote.hosts.size()); }},
        {"term", [](const Quote& quote) { return format_duration(quote.term_ms); }},
        {"price per card-hour", [](const Quote& quote) { return format_usd(quote.price_micros_per_hour); }},
        {"all in per hour", [](const Quote& quote) { return format_usd(quote.all_in_micros_per_hour); }},
        {"cards, whole term", [](const Quote& quote) { return format_usd(quote.cards_micros); }},
        {"storage at most", [](const Quote& quote) { return format_usd(quote.storage_micros); }},
        {"GiB sent out by each", [](const Quote& quote) { return std::to_string(quote.moved_gib); }},
        {"traffic at most", [](const Quote& quote) { return format_usd(quote.traffic_micros); }},
        {"total at most", [](const Quote& quote) { return format_usd(quote.total_micros); }},
        {"fee in it", [](const Quote& quote) { return format_usd(quote.fee_micros); }},
        {"starts at", [](const Quote& quote) { return or_dash(quote.starts_at); }},
        {"deposit", [](const Quote& quote) { return usd_or_dash(quote.deposit_micros); }},
        {"cancelled for nothing until",
         [](const Quote& quote) { return or_dash(quote.cancel_free_until); }},
        {"cancelled later for", [](const Quote& quote) { return usd_or_dash(quote.cancel_kept_micros); }},
        {"penalty of the seller", [](const Quote& quote) { return usd_or_dash(quote.penalty_micros); }},
        {"expires at", [](const Quote& quote) { return quote.expires_at; }},
    };
}

struct MakeArguments {
    DemandArguments demand;
    std::optional<std::int64_t> stored_gib;
    std::optional<std::int64_t> moved_gib;
    std::optional<std::string> starts_at;
};

void make(Context& context, const MakeArguments& arguments) {
    NewQuote wanted;
    wanted.requirements = arguments.demand.order.requirements;
    wanted.count = arguments.demand.order.count;
    wanted.thousandths = arguments.demand.order.thousandths;
    wanted.hosts = arguments.demand.order.hosts;
    wanted.price_max_micros_per_hour = arguments.demand.price_max_micros;
    wanted.storage_micros_per_gib_month_max = arguments.demand.order.storage_micros_per_gib_month_max;
    wanted.egress_micros_per_gib_max = arguments.demand.order.egress_micros_per_gib_max;
    wanted.term_ms = arguments.demand.term_ms.value();
    wanted.stored_gib = arguments.stored_gib;
    wanted.moved_gib = arguments.moved_gib;
    wanted.starts_at = arguments.starts_at;
    wanted.end_use = arguments.demand.order.end_use;
    print_one(context, context.client().make_quote(wanted, context.call_options()), quote_fields());
    Context::message(
        wanted.starts_at
            ? "reserve with it: save it with -o json, then `fallow reservation book --quote FILE`"
            : "order with it: save it with -o json, then `fallow order place --quote FILE`");
}

std::string listings_of(const QuoteFacts& facts) {
    std::vector<std::string> listings;
    for (const QuoteHostFacts& host : facts.hosts)
        listings.push_back(
            fmt::format("{} at {} per card-hour", host.listing, format_usd(host.price_micros_per_hour)));
    return joined(listings);
}

void print_report(const QuoteReport& report) {
    print_checks(report.checks);
    if (!report.passed() || !report.facts) return;
    const QuoteFacts& facts = *report.facts;
    print_text("\n");
    print_fields({{"quote", facts.quote},
                  {"for", facts.renter},
                  {"listings", listings_of(facts)},
                  {"cards on each", std::to_string(facts.count)},
                  {"of each card", format_thousandths(facts.thousandths)},
                  {"term", format_duration(facts.term_ms)},
                  {"GiB stored on each", std::to_string(facts.stored_gib)},
                  {"GiB sent out by each", std::to_string(facts.moved_gib)},
                  {"traffic at most", format_usd(facts.traffic_micros)},
                  {"total at most", format_usd(facts.total_micros)},
                  {"fee in it", format_usd(facts.fee_micros)},
                  {"expires at", facts.expires_at}});
}

void verify(Context& context, const std::string& document, const std::string& pinned_key) {
    const QuoteReport report = verify_quote(document, pinned_key);
    if (context.format() == Format::json) {
        print_json(report_json(report));
    } else {
        print_report(report);
    }
    if (!report.passed()) throw CommandFailed("the quote is NOT genuine");
}

}  // namespace

void add_quote_commands(CLI::App& app, Context& context) {
    CLI::App& quote = add_noun(app, "quote", "What an order costs at most, signed (renter)");

    auto& making = *quote.add_subcommand(
        "make", "State the price of an order; it is kept for a few minutes, but no card is");
    const auto wanted = std::make_shared<MakeArguments>();
    add_requirement_options(making, wanted->demand).term->required();
    making
        .add_option("--stored", wanted->stored_gib,
                    "GiB that the job reserves on each host (--disk); the default is 0")
        ->type_name("GIB");
    making
        .add_option("--moved", wanted->moved_gib,
                    "GiB that each host may send to the internet; the default is 0")
        ->type_name("GIB");
    making.add_option("--start", wanted->starts_at, "Of a reservation: when the block begins (RFC 3339)");
    on_run(context, making, wanted, &make);

    add_verify(quote, context, "quote make", &verify);
}

}  // namespace fallow::cli

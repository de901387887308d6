#include <fmt/format.h>

#include <fallow/human.hpp>
#include <memory>

#include "commands.hpp"
#include "demand.hpp"
#include "files.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

std::string offer_text(const Reservation& row) {
    return row.offer ? format_usd(row.offer->price_micros) + " from " + row.offer->from : "-";
}

Columns<Reservation> reservation_list() {
    return {
        {"id", [](const Reservation& row) { return row.id; }},
        {"role", [](const Reservation& row) { return row.role; }},
        {"state", [](const Reservation& row) { return row.state; }},
        {"cards", [](const Reservation& row) { return std::to_string(row.card_ids.size()); }},
        {"starts", [](const Reservation& row) { return row.starts_at; }},
        {"ends", [](const Reservation& row) { return row.ends_at; }},
        {"price/h", [](const Reservation& row) { return format_usd(row.price_micros_per_hour); }},
        {"offered for", &offer_text},
    };
}

Columns<Reservation> reservation_fields() {
    return {
        {"id", [](const Reservation& row) { return row.id; }},
        {"role", [](const Reservation& row) { return row.role; }},
        {"state", [](const Reservation& row) { return row.state; }},
        {"reason", [](const Reservation& row) { return or_dash(row.reason); }},
        {"listing", [](const Reservation& row) { return row.listing_id; }},
        {"cards", [](const Reservation& row) { return joined(row.card_ids); }},
        {"starts at", [](const Reservation& row) { return row.starts_at; }},
        {"ends at", [](const Reservation& row) { return row.ends_at; }},
        {"price per card-hour",
         [](const Reservation& row) { return format_usd(row.price_micros_per_hour); }},
        {"traffic per GiB", [](const Reservation& row) { return format_usd(row.egress_micros_per_gib); }},
        {"traffic", [](const Reservation& row) { return fmt::format("{} GiB", row.egress_gib); }},
        {"whole block", [](const Reservation& row) { return format_usd(row.total_micros); }},
        {"deposit held", [](const Reservation& row) { return format_usd(row.deposit_micros); }},
        {"cancelled for nothing until", [](const Reservation& row) { return row.cancel_free_until; }},
        {"bond of the seller", [](const Reservation& row) { return format_usd(row.bond_micros); }},
        {"paid by the renter for not coming",
         [](const Reservation& row) { return format_usd(row.kept_micros); }},
        {"paid by the seller as penalty",
         [](const Reservation& row) { return format_usd(row.penalty_micros); }},
        {"offered for", &offer_text},
        {"bought from", [](const Reservation& row) { return or_dash(row.bought_from); }},
        {"lease", [](const Reservation& row) { return or_dash(row.lease_id); }},
    };
}

struct BookArguments {
    DemandArguments demand;
    std::string starts_at;
};

void book(Context& context, const BookArguments& arguments) {
    const NewOrder order = order_of(arguments.demand);
    if (order.storage_micros_per_gib_month_max)
        throw UsageError("a reservation takes no --storage-max: say --where \"storage_price <= ...\"");
    if (order.egress_micros_per_gib_max)
        throw UsageError(
            "a reservation takes no --egress-price-max: its traffic is what its quote says (quote make "
            "--moved --start)");
    NewReservation wanted;
    wanted.requirements = order.requirements;
    wanted.count = order.count;
    wanted.price_max_micros_per_hour = order.price_max_micros_per_hour;
    wanted.term_ms = order.term_ms;
    wanted.quote = order.quote;
    wanted.starts_at = arguments.starts_at;
    wanted.end_use = order.end_use;
    print_one(context, context.client().reserve(wanted, context.call_options()), reservation_fields());
}

void add_book(CLI::App& reservation, Context& context) {
    auto& command =
        *reservation.add_subcommand("book", "Reserve a block of future time of committed cards");
    const auto arguments = std::make_shared<BookArguments>();
    const DemandOptions options = add_requirement_options(command, arguments->demand);
    options.term->required();
    add_quote_option(command, arguments->demand, options);
    command.add_option("--start", arguments->starts_at, "When the block begins (RFC 3339)")->required();
    on_run(context, command, arguments, &book);
}

struct OfferArguments {
    std::string id;
    NewOffer offer;
    bool is_over = false;
};

void add_offer(CLI::App& reservation, Context& context) {
    auto& command = *reservation.add_subcommand("offer", "Offer reserved time to others, or end the offer");
    const auto arguments = std::make_shared<OfferArguments>();
    add_id(command, arguments->id, "reservation");
    auto* const price = add_money(command, "--price", arguments->offer.price_micros,
                                  "For the part as a whole, beside its hourly price");
    command.add_option("--from", arguments->offer.from,
                       "Only the part from this moment to the end (RFC 3339)");
    command.add_flag("--end", arguments->is_over, "Take the offer back")->excludes(price);
    on_run(context, command, arguments, [](Context& with, const OfferArguments& given) {
        if (!given.offer.price_micros && !given.is_over)
            throw UsageError("offer it for what? Give --price, or --end to take the offer back");
        print_one(with, with.client().offer_reservation(given.id, given.offer, with.call_options()),
                  reservation_fields());
    });
}

struct BuyArguments {
    std::string id;
    std::optional<std::int64_t> price_max_micros;
};

void add_buy(CLI::App& reservation, Context& context) {
    auto& command = *reservation.add_subcommand("buy", "Buy reserved time that is offered");
    const auto arguments = std::make_shared<BuyArguments>();
    add_id(command, arguments->id, "reservation");
    add_money(command, "--price-max", arguments->price_max_micros, "Pay at most this to its holder")
        ->required();
    on_run(context, command, arguments, [](Context& with, const BuyArguments& given) {
        print_one(
            with,
            with.client().buy_reservation(given.id, given.price_max_micros.value(), with.call_options()),
            reservation_fields());
    });
}

struct CancelArguments {
    std::string id;
    bool breach = false;
};

void add_cancel(CLI::App& reservation, Context& context) {
    auto& command = *reservation.add_subcommand("cancel", "Give a reservation up, on its terms");
    const auto arguments = std::make_shared<CancelArguments>();
    add_id(command, arguments->id, "reservation");
    command.add_flag("--breach", arguments->breach, "As its seller: break the promise, for the penalty");
    on_run(context, command, arguments, [](Context& with, const CancelArguments& given) {
        Client& client = with.client();
        const auto cancel = given.breach ? &Client::break_reservation : &Client::cancel_reservation;
        print_one(with, (client.*cancel)(given.id, with.call_options()), reservation_fields());
    });
}

}  // namespace

void add_reservation_commands(CLI::App& app, Context& context) {
    CLI::App& reservation = add_noun(app, "reservation", "Blocks of future time, from either side");
    add_book(reservation, context);
    add_list<Reservation>(reservation, context, "list", "List what you have reserved, or let",
                          &Client::reservations, &reservation_list);
    add_list<Reservation>(reservation, context, "offers", "List what others offer for resale",
                          &Client::offered_reservations, &reservation_list);
    add_show<Reservation>(reservation, context, "reservation", &Client::reservation, &reservation_fields);
    add_cancel(reservation, context);
    add_offer(reservation, context);
    add_buy(reservation, context);
}

}  // namespace fallow::cli

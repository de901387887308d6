#include <fmt/format.h>

#include <fallow/human.hpp>
#include <memory>

#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

std::string spot_floor(const Listing& listing) {
    return listing.spot_floor_micros_per_hour ? format_usd(*listing.spot_floor_micros_per_hour) : "-";
}

Columns<Listing> listing_list() {
    return {
        {"id", [](const Listing& listing) { return listing.id; }},
        {"ask/h", [](const Listing& listing) { return format_usd(listing.ask_micros_per_hour); }},
        {"spot floor/h", &spot_floor},
        {"product", [](const Listing& listing) { return listing.product; }},
        {"class", [](const Listing& listing) { return listing.device_class; }},
        {"vram", [](const Listing& listing) { return format_size(listing.vram_bytes); }},
        {"free",
         [](const Listing& listing) {
             return fmt::format("{}/{}", listing.cards_free, listing.cards_total);
         }},
        {"country", [](const Listing& listing) { return listing.country; }},
        {"notice", [](const Listing& listing) { return format_duration(listing.reclaim_notice_ms); }},
        {"state", [](const Listing& listing) { return listing.state; }},
    };
}

Columns<Listing> listing_fields() {
    return {
        {"id", [](const Listing& listing) { return listing.id; }},
        {"state", [](const Listing& listing) { return listing.state; }},
        {"ask per card-hour",
         [](const Listing& listing) { return format_usd(listing.ask_micros_per_hour); }},
        {"spot floor per card-hour", &spot_floor},
        {"storage per GiB-month",
         [](const Listing& listing) { return format_usd(listing.storage_micros_per_gib_month); }},
        {"egress per GiB",
         [](const Listing& listing) { return format_usd(listing.egress_micros_per_gib); }},
        {"product", [](const Listing& listing) { return listing.product; }},
        {"model", [](const Listing& listing) { return or_dash(listing.model); }},
        {"memory is", [](const Listing& listing) { return or_dash(listing.verification_class); }},
        {"class", [](const Listing& listing) { return listing.device_class; }},
        {"vram", [](const Listing& listing) { return format_size(listing.vram_bytes); }},
        {"cards free",
         [](const Listing& listing) {
             return fmt::format("{} of {}", listing.cards_free, listing.cards_total);
         }},
        {"cards", [](const Listing& listing) { return joined(listing.card_ids); }},
        {"smallest bundle", [](const Listing& listing) { return std::to_string(listing.bundle_min); }},
        {"shortest term", [](const Listing& listing) { return format_duration(listing.term_min_ms); }},
        {"longest term", [](const Listing& listing) { return format_duration(listing.term_max_ms); }},
        {"reclaim notice",
         [](const Listing& listing) { return format_duration(listing.reclaim_notice_ms); }},
        {"available from", [](const Listing& listing) { return or_dash(listing.available_from); }},
        {"available until", [](const Listing& listing) { return or_dash(listing.available_until); }},
        {"committed until", [](const Listing& listing) { return or_dash(listing.committed_until); }},
        {"country", [](const Listing& listing) { return listing.country; }},
        {"runtime", [](const Listing& listing) { return listing.runtime; }},
        {"host", [](const Listing& listing) { return listing.host_id; }},
        {"seller", [](const Listing& listing) { return listing.organization_id; }},
        {"created at", [](const Listing& listing) { return listing.created_at; }},
        {"version", [](const Listing& listing) { return std::to_string(listing.version); }},
    };
}

/// Adds the money and time terms that a new listing and a change share.
template <class Terms>
CLI::Option* add_terms(CLI::App& command, Terms& terms) {
    add_money(command, "--spot-floor", terms.spot_floor_micros_per_hour,
              "Take bids for spot from this price on; a fixed-price order still comes first");
    add_money(command, "--storage", terms.storage_micros_per_gib_month,
              "The price of a GiB kept for 30 days: quoted, not billed as long as nothing meters it");
    add_money(command, "--egress", terms.egress_micros_per_gib, "Of a GiB sent out; likewise");
    command.add_option("--committed-until", terms.committed_until,
                       "Until this moment (RFC 3339) cards are taken back for a penalty alone, and can be "
                       "reserved");
    add_duration(command, "--term-min", terms.term_min_ms, "The shortest lease");
    add_duration(command, "--term-max", terms.term_max_ms, "The longest lease");
    return add_duration(command, "--notice", terms.reclaim_notice_ms,
                        "How long a renter has after you reclaim a card (0s to 1h)");
}

struct CreateArguments {
    NewListing listing;
    std::optional<std::int64_t> ask_micros;
    bool all_cards = false;
};

void create(Context& context, const CreateArguments& arguments) {
    NewListing listing = arguments.listing;
    listing.ask_micros_per_hour = arguments.ask_micros.value();
    if (arguments.all_cards) {
        Client& client = context.client();
        for (const Card& card :
             every<Card>([&](const PageRequest& page) { return client.cards(listing.host_id, page); }))
            if (card.state == "present") listing.card_ids.push_back(card.id);
        if (listing.card_ids.empty()) throw CommandFailed("the host has no card that is present");
    }
    print_one(context, context.client().create_listing(listing, context.call_options()), listing_fields());
}

void add_create(CLI::App& listing, Context& context) {
    auto& command = *listing.add_subcommand("create", "Offer cards of one of your hosts");
    const auto arguments = std::make_shared<CreateArguments>();
    NewListing& terms = arguments->listing;
    command.add_option("--host", terms.host_id, "The host the cards are in")->required()->type_name("ID");
    auto* const cards = command.add_option("--card", terms.card_ids, "A card to offer; may be repeated")
                            ->type_name("ID")
                            ->allow_extra_args(false);
    auto* const all =
        command.add_flag("--all-cards", arguments->all_cards, "Offer every card that is present");
    cards->excludes(all);
    add_money(command, "--ask", arguments->ask_micros, "The price of a card for an hour")->required();
    add_terms(command, terms);
    command.add_option("--bundle-min", terms.bundle_min, "The smallest number of cards in one lease");
    command.add_option("--from", terms.available_from, "Offer from this moment on (RFC 3339)");
    command.add_option("--until", terms.available_until, "Offer until this moment (RFC 3339)");
    on_run(context, command, arguments, [](Context& with, const CreateArguments& given) {
        if (given.listing.card_ids.empty() && !given.all_cards)
            throw UsageError("which cards? Give --card once or more, or --all-cards");
        create(with, given);
    });
}

struct SearchArguments : ListArguments {
    ListingQuery query;
};

void add_search(CLI::App& listing, Context& context) {
    auto& list = *listing.add_subcommand("list", "Search what is offered, cheapest first");
    const auto search = std::make_shared<SearchArguments>();
    ListingQuery& query = search->query;
    list.add_option("--product", query.product, "The model, as the listings name it");
    list.add_option("--device-class", query.device_class, "gpu, cpu or accelerator");
    add_size(list, "--vram", query.vram_bytes_min, "At least this much memory on a card");
    list.add_option("--country", query.country, "Where the host stands, like DE");
    add_money(list, "--price-max", query.price_max_micros_per_hour, "At most this per card-hour");
    list.add_option("--host", query.host_id, "Of this host")->type_name("ID");
    list.add_option("--seller", query.seller_id, "Of this organization")->type_name("ID");
    list.add_option("--state", query.state, "open, paused or withdrawn");
    add_list_options(list, *search);
    on_run(context, list, search, [](Context& with, const SearchArguments& arguments) {
        print_list<Listing>(
            with, arguments,
            [&](const PageRequest& page) { return with.client().listings(arguments.query, page); },
            listing_list());
    });
}

struct UpdateArguments {
    std::string listing_id;
    ListingChange change;
    std::optional<std::int64_t> version;
};

void update(Context& context, const UpdateArguments& arguments) {
    Client& client = context.client();
    const std::int64_t version =
        arguments.version ? *arguments.version : client.listing(arguments.listing_id).version;
    print_one(context, client.update_listing(arguments.listing_id, version, arguments.change),
              listing_fields());
}

void add_update(CLI::App& listing, Context& context) {
    auto& command =
        *listing.add_subcommand("update", "Change the terms of a listing; running leases keep theirs");
    const auto arguments = std::make_shared<UpdateArguments>();
    add_id(command, arguments->listing_id, "listing");
    add_money(command, "--ask", arguments->change.ask_micros_per_hour, "The price of a card for an hour");
    add_terms(command, arguments->change);
    command.add_flag_callback(
        "--no-spot", [arguments] { arguments->change.no_spot = true; },
        "Take no more bids; spot leases that run go on");
    command.add_option("--version", arguments->version,
                       "Only if the listing still has this version; the default is the one it has now");
    on_run(context, command, arguments, [](Context& with, const UpdateArguments& given) {
        const ListingChange& change = given.change;
        const bool has_price = change.ask_micros_per_hour || change.spot_floor_micros_per_hour ||
                               change.no_spot || change.storage_micros_per_gib_month ||
                               change.egress_micros_per_gib;
        if (!has_price && !change.reclaim_notice_ms && !change.term_min_ms && !change.term_max_ms &&
            !change.committed_until)
            throw UsageError(
                "what is to change? Give --ask, --spot-floor, --no-spot, --storage, --egress, --notice, "
                "--term-min, --term-max or --committed-until");
        update(with, given);
    });
}

void add_state(CLI::App& listing, Context& context, const std::string& name, const std::string& help,
               const std::string& state) {
    auto& command = *listing.add_subcommand(name, help);
    const auto arguments = std::make_shared<UpdateArguments>();
    arguments->change.state = state;
    add_id(command, arguments->listing_id, "listing");
    on_run(context, command, arguments, &update);
}

}  // namespace

void add_listing_commands(CLI::App& app, Context& context) {
    CLI::App& listing = add_noun(app, "listing", "What is offered, at which terms");
    add_create(listing, context);
    add_search(listing, context);
    add_show<Listing>(listing, context, "listing", &Client::listing, &listing_fields);
    add_update(listing, context);
    add_state(listing, context, "pause", "Take no new leases for now; running ones go on", "paused");
    add_state(listing, context, "open", "Take leases again", "open");
    add_act<Listing>(listing, context, "withdraw", "End a listing for good; running leases go on",
                     "listing", &Client::withdraw_listing, &listing_fields);
}

}  // namespace fallow::cli

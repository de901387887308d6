#include <fmt/format.h>

#include <algorithm>
#include <fallow/human.hpp>
#include <fallow/json.hpp>
#include <memory>

#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

std::string spot_floor(const Listing& listing) {
    return listing.spot_floor_micros_per_hour ? format_usd(*listing.spot_floor_micros_per_hour) : "-";
}

/// What a renter meets, and who is to change that.
std::string state_of(const Listing& listing) {
    return listing.paused_by ? "paused by its " + *listing.paused_by : listing.state;
}

const std::vector<std::string> no_texts;

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
        {"state", &state_of},
    };
}

Columns<Listing> listing_fields() {
    return {
        {"id", [](const Listing& listing) { return listing.id; }},
        {"state", &state_of},
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
        {"smallest share",
         [](const Listing& listing) { return format_thousandths(listing.share_min_thousandths); }},
        {"free, parts included",
         [](const Listing& listing) { return format_thousandths(listing.thousandths_free); }},
        {"smallest bundle", [](const Listing& listing) { return std::to_string(listing.bundle_min); }},
        {"shortest term", [](const Listing& listing) { return format_duration(listing.term_min_ms); }},
        {"longest term", [](const Listing& listing) { return format_duration(listing.term_max_ms); }},
        {"reclaim notice",
         [](const Listing& listing) { return format_duration(listing.reclaim_notice_ms); }},
        {"windows", [](const Listing& listing) { return joined(listing.windows); }},
        {"their minutes ahead of UTC",
         [](const Listing& listing) { return std::to_string(listing.windows_utc_offset_minutes); }},
        {"images", [](const Listing& listing) { return joined(listing.images_allowed); }},
        {"only for",
         [](const Listing& listing) { return joined(listing.renters_allowed.value_or(no_texts)); }},
        {"not for",
         [](const Listing& listing) { return joined(listing.renters_blocked.value_or(no_texts)); }},
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

/// The lists among the terms, as they are typed.
struct ListTerms {
    std::vector<std::string> windows;
    std::vector<std::string> images;
    std::vector<std::string> renters_allowed;
    std::vector<std::string> renters_blocked;
    std::vector<std::string> cleared;
};

void add_lists(CLI::App& command, ListTerms& lists) {
    const auto add = [&](const char* flag, std::vector<std::string>& list, const char* help,
                         const char* type) {
        command.add_option(flag, list, help)->type_name(type)->allow_extra_args(false);
    };
    add("--window", lists.windows, "Hours of every week, like \"fri 18:00-mon 08:00\"; may be repeated",
        "WINDOW");
    add("--image", lists.images,
        "Run only this image: a reference, its beginning and *, or a digest; may be repeated", "IMAGE");
    add("--only-renter", lists.renters_allowed, "Only this organization may rent; may be repeated", "ID");
    add("--not-renter", lists.renters_blocked, "This organization may not; may be repeated", "ID");
}

template <class Terms>
void set_lists(Terms& terms, const ListTerms& lists) {
    const auto is_cleared = [&](const char* name) {
        return std::find(lists.cleared.begin(), lists.cleared.end(), name) != lists.cleared.end();
    };
    const auto set = [&](auto& term, const std::vector<std::string>& list, const char* name) {
        if (!list.empty() || is_cleared(name)) term = list;
    };
    set(terms.windows, lists.windows, "windows");
    set(terms.images_allowed, lists.images, "images");
    set(terms.renters_allowed, lists.renters_allowed, "only-renters");
    set(terms.renters_blocked, lists.renters_blocked, "not-renters");
}

/// Adds the money and time terms that a new listing and a change share.
template <class Terms>
CLI::Option* add_terms(CLI::App& command, Terms& terms) {
    add_money(command, "--spot-floor", terms.spot_floor_micros_per_hour,
              "Take bids for spot from this price on; a fixed-price order still comes first");
    add_money(command, "--storage", terms.storage_micros_per_gib_month,
              "The price of a GiB of working storage for 730 hours, billed while a job runs");
    add_money(command, "--egress", terms.egress_micros_per_gib,
              "Of a GiB sent out: quoted, not billed as long as nothing meters it");
    command.add_option("--committed-until", terms.committed_until,
                       "Until this moment (RFC 3339) cards are taken back for a penalty alone, and can be "
                       "reserved");
    command
        .add_option("--utc-offset", terms.windows_utc_offset_minutes,
                    "By how many minutes the windows' clock is ahead of UTC; the default is 0")
        ->type_name("MINUTES");
    add_duration(command, "--term-min", terms.term_min_ms, "The shortest lease");
    add_duration(command, "--term-max", terms.term_max_ms, "The longest lease");
    add_part(command, "--share-min", terms.share_min_thousandths,
             "Lease parts of a card too, this one or larger, like 0.25; 1 is whole cards alone");
    return add_duration(command, "--notice", terms.reclaim_notice_ms,
                        "How long a renter has after you reclaim a card (0s to 1h)");
}

struct CreateArguments {
    NewListing listing;
    std::optional<std::int64_t> ask_micros;
    bool all_cards = false;
    ListTerms lists;
};

void create(Context& context, const CreateArguments& arguments) {
    NewListing listing = arguments.listing;
    listing.ask_micros_per_hour = arguments.ask_micros.value();
    set_lists(listing, arguments.lists);
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
    add_lists(command, arguments->lists);
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
    ListTerms lists;
    std::optional<std::int64_t> version;
};

void add_change(CLI::App& command, ListingChange& change, ListTerms& lists) {
    add_money(command, "--ask", change.ask_micros_per_hour, "The price of a card for an hour");
    add_terms(command, change);
    add_lists(command, lists);
    command.add_flag_callback(
        "--no-spot", [&change] { change.no_spot = true; }, "Take no more bids; spot leases that run go on");
    command.add_option("--clear", lists.cleared, "Empty a list; may be repeated")
        ->check(CLI::IsMember({"windows", "images", "only-renters", "not-renters"}))
        ->allow_extra_args(false);
}

ListingChange change_of(const ListingChange& given, const ListTerms& lists) {
    ListingChange change = given;
    set_lists(change, lists);
    if (to_request_json(change) == empty_object)
        throw UsageError("what is to change? Give --ask or another term; see --help");
    return change;
}

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
    add_change(command, arguments->change, arguments->lists);
    command.add_option("--version", arguments->version,
                       "Only if the listing still has this version; the default is the one it has now");
    on_run(context, command, arguments, [](Context& with, const UpdateArguments& given) {
        UpdateArguments whole = given;
        whole.change = change_of(given.change, given.lists);
        update(with, whole);
    });
}

struct ChangeArguments {
    ListingChanges changes;
    ListTerms lists;
};

void add_change_many(CLI::App& listing, Context& context) {
    auto& command = *listing.add_subcommand(
        "change", "Change many of your listings alike, all that the filter finds or none");
    const auto arguments = std::make_shared<ChangeArguments>();
    ListingFilter& filter = arguments->changes.filter;
    command.add_option("--listing", filter.listing_ids, "Only this listing; may be repeated")
        ->type_name("ID")
        ->allow_extra_args(false);
    command.add_option("--host", filter.host_id, "Only of this host")->type_name("ID");
    command.add_option("--product", filter.product, "Only with this model");
    command.add_option("--state", filter.state, "Only those that are open, or paused");
    command.add_option("--where", filter.query, "Only with a card that this finds, as in `fallow search`")
        ->type_name("QUERY");
    add_change(command, arguments->changes.change, arguments->lists);
    command.add_flag("--dry-run", arguments->changes.dry_run, "Only show what would come of it");
    on_run(context, command, arguments, [](Context& with, const ChangeArguments& given) {
        ListingChanges changes = given.changes;
        changes.change = change_of(given.changes.change, given.lists);
        const ListingsChanged changed = with.client().change_listings(changes, with.call_options());
        print_rows(with, changed.items, listing_list());
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
    add_change_many(listing, context);
    add_state(listing, context, "pause", "Take no new leases for now; running ones go on", "paused");
    add_state(listing, context, "open", "Take leases again", "open");
    add_act<Listing>(listing, context, "withdraw", "End a listing for good; running leases go on",
                     "listing", &Client::withdraw_listing, &listing_fields);
}

}  // namespace fallow::cli

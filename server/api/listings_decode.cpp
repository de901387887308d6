#include "api/listings_decode.hpp"

#include <fmt/format.h>

#include <set>

#include "api/field_decode.hpp"
#include "base/limits.hpp"
#include "market/weekly_window.hpp"

namespace fallow::api {
namespace {

constexpr std::int64_t term_max_ms_default = days(30).count;
constexpr std::int64_t reclaim_notice_ms_default = minutes(1).count;

std::vector<std::string> read_windows(FieldReader& reader) {
    const auto windows = reader.texts("windows", limits::windows_per_listing_max, {.bytes_max = 19});
    for (std::size_t i = 0; i < windows.size(); ++i)
        if (!market::parse_weekly_window(windows[i]))
            reader.fail(ErrorCode::invalid_field, fmt::format("windows/{}", i),
                        "Give days and times of a week, like \"fri 18:00-mon 08:00\".");
    return windows;
}

std::vector<OrganizationId> read_renters(FieldReader& reader, std::string_view name) {
    return reader.ids<OrganizationId>(name, 0, limits::renters_per_list_max);
}

std::vector<std::string> read_images(FieldReader& reader) {
    const auto images = reader.texts("images_allowed", limits::images_per_listing_max,
                                     {.bytes_max = limits::image_bytes_max});
    for (std::size_t i = 0; i < images.size(); ++i) {
        const auto star = images[i].find('*');
        if (star != std::string::npos && (star == 0 || star + 1 != images[i].size()))
            reader.fail(ErrorCode::invalid_field, fmt::format("images_allowed/{}", i),
                        "Give a whole reference, the beginning of references with one * at the end, or a "
                        "digest.");
    }
    return images;
}

market::CreateListing read_listing(FieldReader& reader) {
    market::CreateListing listing;
    listing.host = reader.id<HostId>("host_id");
    listing.cards = reader.ids<CardId>("card_ids", 1, limits::cards_per_listing_max);
    const std::set<CardId> distinct(listing.cards.begin(), listing.cards.end());
    if (distinct.size() != listing.cards.size())
        reader.fail(ErrorCode::invalid_field, "card_ids", "Name each card once.");
    listing.ask =
        ledger::Price(reader.integer("ask_micros_per_hour", 0, limits::price_micros_per_hour_max));
    if (const auto floor =
            reader.optional_integer("spot_floor_micros_per_hour", 0, limits::price_micros_per_hour_max))
        listing.spot_floor = ledger::Price(*floor);
    listing.storage_price = ledger::Micros(
        reader.integer_or("storage_micros_per_gib_month", 0, 0, limits::storage_micros_per_gib_month_max));
    listing.egress_price =
        ledger::Micros(reader.integer_or("egress_micros_per_gib", 0, 0, limits::egress_micros_per_gib_max));
    listing.term_min = Millis(
        reader.integer_or("term_min_ms", limits::term_ms_min, limits::term_ms_min, limits::term_ms_max));
    listing.term_max = Millis(
        reader.integer_or("term_max_ms", term_max_ms_default, limits::term_ms_min, limits::term_ms_max));
    if (listing.term_max < listing.term_min)
        reader.fail(ErrorCode::invalid_field, "term_max_ms",
                    "Give a longest term that is not below term_min_ms.");
    listing.reclaim_notice = Millis(reader.integer_or("reclaim_notice_ms", reclaim_notice_ms_default, 0,
                                                      limits::reclaim_notice_ms_max));
    listing.bundle_min = reader.integer32_or("bundle_min", 1, 1, limits::cards_per_order_max);
    if (static_cast<std::size_t>(listing.bundle_min) > listing.cards.size())
        reader.fail(ErrorCode::invalid_field, "bundle_min",
                    "Give at most the number of cards that are listed.");
    listing.share_min = reader.integer32_or("share_min_thousandths", limits::thousandths_per_card, 1,
                                            limits::thousandths_per_card);
    if (listing.share_min < limits::thousandths_per_card && listing.bundle_min > 1)
        reader.fail(ErrorCode::invalid_field, "share_min_thousandths",
                    "Cards that are leased only in bundles cannot be shared: leave out bundle_min.");
    listing.windows = read_windows(reader);
    listing.windows_utc_offset_minutes = reader.integer32_or(
        "windows_utc_offset_minutes", 0, -limits::utc_offset_minutes_max, limits::utc_offset_minutes_max);
    listing.renters_allowed = read_renters(reader, "renters_allowed");
    listing.renters_blocked = read_renters(reader, "renters_blocked");
    listing.images_allowed = read_images(reader);
    listing.available_from = reader.optional_time("available_from");
    listing.available_until = reader.optional_time("available_until");
    listing.committed_until = reader.optional_time("committed_until");
    if (listing.available_from && listing.available_until &&
        *listing.available_until <= *listing.available_from)
        reader.fail(ErrorCode::invalid_field, "available_until", "Give a time after available_from.");
    return listing;
}

/// The terms that a change names; `reader` has looked at each afterwards.
market::ListingTerms read_terms(FieldReader& reader) {
    market::ListingTerms terms;
    const auto span = [&](std::string_view name, std::int64_t min, std::int64_t max) {
        const auto given = reader.optional_integer(name, min, max);
        return given ? std::optional(Millis(*given)) : std::nullopt;
    };
    const auto number = [&](std::string_view name, std::int32_t min, std::int32_t max) {
        const auto given = reader.optional_integer(name, min, max);
        return given ? std::optional(static_cast<std::int32_t>(*given)) : std::nullopt;
    };
    if (const auto ask =
            reader.optional_integer("ask_micros_per_hour", 0, limits::price_micros_per_hour_max))
        terms.ask = ledger::Price(*ask);
    if (const auto floor =
            reader.optional_integer("spot_floor_micros_per_hour", 0, limits::price_micros_per_hour_max))
        terms.spot_floor = ledger::Price(*floor);
    terms.no_spot = reader.boolean_or("no_spot", false);
    if (terms.no_spot && terms.spot_floor)
        reader.fail(ErrorCode::invalid_field, "no_spot", "Give a spot floor or no_spot, not both.");
    if (const auto price = reader.optional_integer("storage_micros_per_gib_month", 0,
                                                   limits::storage_micros_per_gib_month_max))
        terms.storage_price = ledger::Micros(*price);
    if (const auto price =
            reader.optional_integer("egress_micros_per_gib", 0, limits::egress_micros_per_gib_max))
        terms.egress_price = ledger::Micros(*price);
    terms.term_min = span("term_min_ms", limits::term_ms_min, limits::term_ms_max);
    terms.term_max = span("term_max_ms", limits::term_ms_min, limits::term_ms_max);
    terms.reclaim_notice = span("reclaim_notice_ms", 0, limits::reclaim_notice_ms_max);
    terms.share_min = number("share_min_thousandths", 1, limits::thousandths_per_card);
    terms.windows_utc_offset_minutes = number("windows_utc_offset_minutes", -limits::utc_offset_minutes_max,
                                              limits::utc_offset_minutes_max);
    if (reader.has("windows")) terms.windows = read_windows(reader);
    if (reader.has("renters_allowed")) terms.renters_allowed = read_renters(reader, "renters_allowed");
    if (reader.has("renters_blocked")) terms.renters_blocked = read_renters(reader, "renters_blocked");
    if (reader.has("images_allowed")) terms.images_allowed = read_images(reader);
    terms.committed_until = reader.optional_time("committed_until");
    terms.state = reader.optional_named<market::ListingState>("state");
    if (terms.state == market::ListingState::withdrawn)
        reader.fail(ErrorCode::invalid_field, "state",
                    "Give open or paused; to withdraw, POST …/withdraw.");
    if (terms.term_min && terms.term_max && *terms.term_max < *terms.term_min)
        reader.fail(ErrorCode::invalid_field, "term_max_ms",
                    "Give a longest term that is not below term_min_ms.");
    // A field that is not known is the better answer to a body that changes nothing.
    static_cast<void>(reader.finish());
    if (terms.are_empty()) reader.fail(ErrorCode::missing_field, "", "Give at least one field to change.");
    return terms;
}

market::ListingFilter read_filter(FieldReader& reader) {
    market::ListingFilter filter;
    filter.listings = reader.ids<ListingId>("listing_ids", 0, limits::listings_per_change_max);
    filter.host = reader.optional_id<HostId>("host_id");
    filter.product = reader.optional_text("product", {.bytes_max = limits::name_bytes_max});
    filter.state = reader.optional_named<market::ListingState>("state");
    if (filter.state == market::ListingState::withdrawn)
        reader.fail(ErrorCode::invalid_field, "state", "Give open or paused: withdrawn listings stay.");
    filter.query = reader.optional_text("query", {.bytes_max = limits::query_bytes_max});
    static_cast<void>(reader.finish());
    return filter;
}

}  // namespace

Result<market::CreateListing> decode_listing(std::string_view body) {
    return decode_body(body, read_listing);
}

Result<market::UpdateListing> decode_listing_change(std::string_view body, ListingId listing,
                                                    std::int64_t version) {
    return decode_body(body, [&](FieldReader& reader) {
        return market::UpdateListing{listing, version, read_terms(reader)};
    });
}

Result<market::ChangeListings> decode_listing_changes(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        market::ChangeListings command;
        if (auto filter = reader.optional_object("filter")) command.filter = read_filter(*filter);
        FieldReader change = reader.object("change");
        command.terms = read_terms(change);
        command.dry_run = reader.boolean_or("dry_run", false);
        return command;
    });
}

Result<market::ReclaimLease> decode_reclaim_lease(std::string_view body, LeaseId lease) {
    return decode_body(body, [&](FieldReader& reader) {
        return market::ReclaimLease{lease, reader.boolean_or("breach", false)};
    });
}

Result<market::AddMaintenance> decode_maintenance(std::string_view body, HostId host) {
    return decode_body(body, [&](FieldReader& reader) {
        market::AddMaintenance command;
        command.host = host;
        command.from = reader.time("from");
        command.until = reader.time("until");
        command.reason = reader.text("reason", {.bytes_max = limits::maintenance_reason_bytes_max});
        return command;
    });
}

Result<NewToken> decode_enrollment_token(std::string_view body) {
    return decode_body(body, [](FieldReader& reader) {
        NewToken token;
        token.name = reader.text("name", {.bytes_max = limits::name_bytes_max});
        token.country = reader.country("country");
        return token;
    });
}

}  // namespace fallow::api

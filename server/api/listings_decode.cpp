#include "api/listings_decode.hpp"

#include <set>

#include "api/field_decode.hpp"
#include "base/limits.hpp"

namespace fallow::api {
namespace {

constexpr std::int64_t term_max_ms_default = days(30).count;
constexpr std::int64_t reclaim_notice_ms_default = minutes(1).count;

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
    listing.available_from = reader.optional_time("available_from");
    listing.available_until = reader.optional_time("available_until");
    listing.committed_until = reader.optional_time("committed_until");
    if (listing.available_from && listing.available_until &&
        *listing.available_until <= *listing.available_from)
        reader.fail(ErrorCode::invalid_field, "available_until", "Give a time after available_from.");
    return listing;
}

market::UpdateListing read_change(FieldReader& reader, ListingId listing, std::int64_t version) {
    market::UpdateListing change{.listing = listing,
                                 .version = version,
                                 .ask = {},
                                 .term_min = {},
                                 .term_max = {},
                                 .reclaim_notice = {},
                                 .state = {},
                                 .spot_floor = {},
                                 .no_spot = false};
    if (const auto ask =
            reader.optional_integer("ask_micros_per_hour", 0, limits::price_micros_per_hour_max))
        change.ask = ledger::Price(*ask);
    if (const auto floor =
            reader.optional_integer("spot_floor_micros_per_hour", 0, limits::price_micros_per_hour_max))
        change.spot_floor = ledger::Price(*floor);
    change.no_spot = reader.boolean_or("no_spot", false);
    if (change.no_spot && change.spot_floor)
        reader.fail(ErrorCode::invalid_field, "no_spot", "Give a spot floor or no_spot, not both.");
    if (const auto price = reader.optional_integer("storage_micros_per_gib_month", 0,
                                                   limits::storage_micros_per_gib_month_max))
        change.storage_price = ledger::Micros(*price);
    if (const auto price =
            reader.optional_integer("egress_micros_per_gib", 0, limits::egress_micros_per_gib_max))
        change.egress_price = ledger::Micros(*price);
    if (const auto span = reader.optional_integer("term_min_ms", limits::term_ms_min, limits::term_ms_max))
        change.term_min = Millis(*span);
    if (const auto span = reader.optional_integer("term_max_ms", limits::term_ms_min, limits::term_ms_max))
        change.term_max = Millis(*span);
    if (const auto span = reader.optional_integer("reclaim_notice_ms", 0, limits::reclaim_notice_ms_max))
        change.reclaim_notice = Millis(*span);
    change.state = reader.optional_named<market::ListingState>("state");
    change.committed_until = reader.optional_time("committed_until");
    if (change.state == market::ListingState::withdrawn)
        reader.fail(ErrorCode::invalid_field, "state",
                    "Give open or paused; to withdraw, POST …/withdraw.");
    if (change.term_min && change.term_max && *change.term_max < *change.term_min)
        reader.fail(ErrorCode::invalid_field, "term_max_ms",
                    "Give a longest term that is not below term_min_ms.");
    // A field that is not known is the better answer to a body that changes nothing.
    static_cast<void>(reader.finish());
    const bool has_price =
        change.ask || change.spot_floor || change.no_spot || change.storage_price || change.egress_price;
    if (!has_price && !change.term_min && !change.term_max && !change.reclaim_notice && !change.state &&
        !change.committed_until)
        reader.fail(ErrorCode::missing_field, "", "Give at least one field to change.");
    return change;
}

}  // namespace

Result<market::CreateListing> decode_listing(std::string_view body) {
    return decode_body(body, read_listing);
}

Result<market::UpdateListing> decode_listing_change(std::string_view body, ListingId listing,
                                                    std::int64_t version) {
    return decode_body(body, [&](FieldReader& reader) { return read_change(reader, listing, version); });
}

Result<market::ReclaimLease> decode_reclaim_lease(std::string_view body, LeaseId lease) {
    return decode_body(body, [&](FieldReader& reader) {
        return market::ReclaimLease{lease, reader.boolean_or("breach", false)};
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

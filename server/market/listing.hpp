// A listing: a seller's terms for some cards of one host.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/time.hpp"
#include "ledger/money.hpp"

namespace fallow::market {

FALLOW_ENUM(ListingState, open, paused, withdrawn)
/// Who keeps a listing from new leases. cards: it is open, and none of its cards is offered by its host.
FALLOW_ENUM(ListingPause, seller, cards)

struct Listing {
    static constexpr std::string_view table = "listings";
    ListingId id;
    OrganizationId organization;
    HostId host;
    std::vector<CardId> cards;
    ListingState state = ListingState::open;
    ledger::Price ask;
    std::optional<ledger::Price> spot_floor;  ///< the least a spot bid must be; absent: no spot
    ledger::Micros storage_price;             ///< of a GiB reserved for a month of 730 hours
    ledger::Micros egress_price;              ///< of a GiB sent to the internet; 0: as much as one likes
    Millis term_min;
    Millis term_max;
    Millis reclaim_notice;
    std::int32_t bundle_min = 1;  ///< the fewest cards one lease may take
    std::optional<Time> available_from;
    std::optional<Time> available_until;
    /// Until then a card is taken back from a renter only for a penalty; only such cards can be reserved.
    std::optional<Time> committed_until;
    Time created_at;
    std::int64_t version = 1;
    /// The smallest part of a card that is leased, in thousandths; 1000: whole cards alone.
    std::int32_t share_min = limits::thousandths_per_card;
    /// When the cards are there in every week, by the clock of the offset: see weekly_window.hpp. None:
    /// always.
    std::vector<std::string> windows;
    std::int32_t windows_utc_offset_minutes = 0;
    std::vector<OrganizationId> renters_allowed;  ///< none: everybody
    std::vector<OrganizationId> renters_blocked;
    std::vector<std::string> images_allowed;  ///< none: every image

    [[nodiscard]] bool is_shared() const { return share_min < limits::thousandths_per_card; }

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("organization_id", row.organization);
        visit.field("host_id", row.host);
        visit.field("card_ids", row.cards);
        visit.field("state", row.state);
        visit.field("ask_micros_per_hour", row.ask);
        visit.field("spot_floor_micros_per_hour", row.spot_floor);
        visit.field("storage_micros_per_gib_month", row.storage_price);
        visit.field("egress_micros_per_gib", row.egress_price);
        visit.field("term_min_ms", row.term_min);
        visit.field("term_max_ms", row.term_max);
        visit.field("reclaim_notice_ms", row.reclaim_notice);
        visit.field("bundle_min", row.bundle_min);
        visit.field("available_from", row.available_from);
        visit.field("available_until", row.available_until);
        visit.field("committed_until", row.committed_until);
        visit.field("created_at", row.created_at);
        visit.field("version", row.version);
        visit.field("share_min_thousandths", row.share_min);
        visit.field("windows", row.windows);
        visit.field("windows_utc_offset_minutes", row.windows_utc_offset_minutes);
        visit.field("renters_allowed", row.renters_allowed);
        visit.field("renters_blocked", row.renters_blocked);
        visit.field("images_allowed", row.images_allowed);
    }
};

}  // namespace fallow::market

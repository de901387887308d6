// What a renter asks for, what that costs at most, and future time: requirements, quotes, reservations.
// Part of types.hpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::sdk {

struct Requirements {
    std::vector<std::string> products;
    std::optional<std::string> device_class;
    std::optional<std::int64_t> vram_bytes_min;
    std::vector<std::string> countries;
    std::vector<std::string> countries_excluded;
    std::optional<std::string> listing_id;
    std::optional<std::string> host_id;
    std::optional<std::string> query;  ///< conditions in the query language
};

struct NewQuote {
    Requirements requirements;
    std::optional<std::int64_t> count;
    std::optional<std::int64_t> thousandths;
    std::optional<std::int64_t> hosts;
    std::optional<std::int64_t> price_max_micros_per_hour;
    std::optional<std::int64_t> storage_micros_per_gib_month_max;
    std::optional<std::int64_t> egress_micros_per_gib_max;
    std::int64_t term_ms = 0;
    std::optional<std::int64_t> stored_gib;
    std::optional<std::int64_t> moved_gib;
    std::optional<std::string> starts_at;  ///< of a reservation
    std::optional<std::string> end_use;
};

/// The part of a quote that an order brings along, and that quote_verify.hpp verifies.
struct SignedQuote {
    std::string quote;  ///< the exact bytes that the server signed
    std::string server_signature;
};

/// A host of the order, and its prices.
struct QuotedHost {
    std::string listing_id;
    std::string seller_id;
    std::int64_t price_micros_per_hour = 0;
    std::int64_t storage_micros_per_gib_month = 0;
    std::int64_t egress_micros_per_gib = 0;
};

struct Quote {
    std::string quote;
    std::string server_signature;
    std::string id;
    std::string listing_id;  ///< of the first host
    std::string seller_id;
    std::int64_t count = 0;  ///< on each host
    std::int64_t thousandths = 1000;
    std::vector<QuotedHost> hosts;
    std::int64_t term_ms = 0;
    std::int64_t price_micros_per_hour = 0;   ///< of the dearest
    std::int64_t all_in_micros_per_hour = 0;  ///< of all cards and the storage
    std::int64_t fee_ppm = 0;
    std::int64_t stored_gib = 0;
    std::int64_t moved_gib = 0;
    std::int64_t cards_micros = 0;
    std::int64_t storage_micros = 0;
    std::int64_t traffic_micros = 0;
    std::int64_t total_micros = 0;
    std::int64_t fee_micros = 0;
    std::optional<std::string> starts_at;  ///< of a reservation, like the four below
    std::optional<std::int64_t> deposit_micros;
    std::optional<std::string> cancel_free_until;
    std::optional<std::int64_t> cancel_kept_micros;
    std::optional<std::int64_t> penalty_micros;
    std::string quoted_at;
    std::string expires_at;
};

struct NewReservation {
    Requirements requirements;
    std::optional<std::int64_t> count;
    std::optional<std::int64_t> price_max_micros_per_hour;  ///< needed unless there is a quote
    std::int64_t term_ms = 0;
    std::string starts_at;
    std::optional<SignedQuote> quote;
    std::optional<std::string> end_use;
};

struct ReservationOffer {
    std::int64_t price_micros = 0;
    std::string from;
};

/// Without a price the offer is taken back.
struct NewOffer {
    std::optional<std::int64_t> price_micros;
    std::optional<std::string> from;
};

struct Reservation {
    std::string id;
    std::string role;             ///< renter, seller, none: it is offered
    std::string organization_id;  ///< the renter
    std::string seller_id;
    std::string host_id;
    std::string listing_id;
    std::vector<std::string> card_ids;
    std::string state;  ///< booked, started, ended, cancelled, broken, failed, sold
    std::optional<std::string> reason;
    std::string starts_at;
    std::string ends_at;
    std::int64_t price_micros_per_hour = 0;
    std::int64_t fee_ppm = 0;
    std::int64_t storage_micros_per_gib_month = 0;
    std::int64_t egress_micros_per_gib = 0;
    std::int64_t egress_gib = 0;  ///< that each host's container may send out: what was quoted
    std::int64_t total_micros = 0;
    std::int64_t reclaim_notice_ms = 0;
    std::optional<std::string> end_use;
    std::string cancel_free_until;
    std::int64_t cancel_kept_ppm = 0;
    std::int64_t penalty_ppm = 0;
    std::int64_t deposit_micros = 0;
    std::int64_t bond_micros = 0;
    std::int64_t kept_micros = 0;
    std::int64_t penalty_micros = 0;
    std::optional<std::string> quote_id;
    std::optional<std::string> lease_id;
    std::optional<std::string> bought_from;
    std::optional<ReservationOffer> offer;
    std::string booked_at;
    std::int64_t version = 0;
};

}  // namespace fallow::sdk

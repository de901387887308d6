// What the contract tells of the market itself: card models, prices, outlooks, the jurisdiction policy. As
// in types.hpp, names are those of the wire, kinds stay text, amounts are micros of USD.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace fallow::sdk {

/// A row of the catalog. Rates are dense; what is absent does not exist or is not published.
struct CardModel {
    std::string model;
    std::string name;
    std::string maker;
    std::string architecture;
    std::optional<std::string> compute_capability;
    std::string segment;  ///< datacenter, workstation, consumer
    std::int64_t vram_bytes = 0;
    std::int64_t devices = 1;
    std::int64_t memory_bandwidth_bytes_per_s = 0;
    std::optional<std::int64_t> fp16_gflops;
    std::optional<std::int64_t> fp8_gflops;
    std::optional<std::int64_t> int8_gops;
    std::optional<std::int64_t> fp6_gflops;
    std::optional<std::int64_t> fp4_gflops;
    std::int64_t tpp = 0;
    std::optional<std::int64_t> die_area_um2;
    std::optional<std::int64_t> performance_density_milli;
    std::optional<std::int64_t> tdp_watts;
    std::vector<std::string> products;
    std::string source;
    std::string notes;
};

/// Of one model and memory size, over one span. Prices are absent where nothing was traded.
struct PriceCandle {
    std::string start_at;
    std::optional<std::int64_t> open_micros_per_hour;
    std::optional<std::int64_t> high_micros_per_hour;
    std::optional<std::int64_t> low_micros_per_hour;
    std::optional<std::int64_t> close_micros_per_hour;
    std::optional<std::int64_t> weighted_micros_per_hour;  ///< by cards
    std::int64_t trades = 0;
    std::int64_t thousandths = 0;  ///< of cards that were leased
    std::optional<std::int64_t> utilisation_ppm;
    std::optional<std::int64_t> best_ask_micros_per_hour;
};

/// The last day of one series.
struct PriceSummary {
    std::string model;
    std::int64_t vram_gib = 0;
    std::optional<std::int64_t> open_micros_per_hour;
    std::optional<std::int64_t> high_micros_per_hour;
    std::optional<std::int64_t> low_micros_per_hour;
    std::optional<std::int64_t> close_micros_per_hour;
    std::optional<std::int64_t> weighted_micros_per_hour;
    std::int64_t trades = 0;
    std::int64_t thousandths = 0;
    std::optional<std::int64_t> utilisation_ppm;
    std::optional<std::int64_t> best_ask_micros_per_hour;
};

struct PriceLevel {
    std::int64_t ask_micros_per_hour = 0;
    std::int64_t thousandths = 0;  ///< of cards that are free at it
    std::int64_t listings = 0;
};

struct PriceHistory {
    std::string market;
    std::string model;
    std::int64_t vram_gib = 0;
    std::string span;  ///< minute, hour, day
    std::int64_t history_ms = 0;
    std::optional<std::int64_t> high_micros_per_hour;
    std::optional<std::int64_t> low_micros_per_hour;
    std::optional<std::int64_t> close_micros_per_hour;
    std::optional<std::int64_t> weighted_micros_per_hour;
    std::int64_t trades = 0;
    std::int64_t thousandths = 0;
    std::optional<std::int64_t> utilisation_ppm;
    std::optional<std::int64_t> best_ask_micros_per_hour;  ///< now
    std::vector<PriceLevel> depth;
    std::vector<PriceCandle> candles;
};

struct PriceQuery {
    std::optional<std::int64_t> vram_gib;  ///< nothing: the stock size
    std::optional<std::string> span;
    std::optional<std::int64_t> history_ms;
};

struct Trade {
    std::string at;
    std::int64_t price_micros_per_hour = 0;
    std::int64_t cards = 0;
    std::int64_t thousandths = 0;
};

/// At one price and one utilisation.
struct Earning {
    std::int64_t price_micros_per_hour = 0;
    std::int64_t utilisation_ppm = 0;
    std::int64_t net_micros_per_hour = 0;
    std::int64_t net_micros_per_month = 0;
    std::optional<std::int64_t> break_even_hours;  ///< nothing: never
};

struct Outlook {
    std::string model;
    std::int64_t vram_gib = 0;
    std::int64_t history_ms = 0;
    std::int64_t fee_ppm = 0;
    std::int64_t watts = 0;
    std::string watts_from;  ///< given, catalog
    std::int64_t power_price_micros_per_kwh = 0;
    std::int64_t resale_micros = 0;
    std::optional<std::string> price_from;  ///< trades, asks; nothing: there is neither
    std::int64_t trades = 0;
    std::int64_t days = 0;
    std::optional<Earning> low;
    std::optional<Earning> expected;
    std::optional<Earning> high;
};

struct OutlookQuery {
    std::string model;
    std::optional<std::int64_t> vram_gib;
    std::optional<std::int64_t> history_ms;
    std::optional<std::int64_t> watts;
    std::optional<std::int64_t> power_price_micros_per_kwh;
    std::optional<std::int64_t> resale_micros;
};

struct PolicyRule {
    std::string name;
    std::string effect;  ///< allow, deny, needs_approval
    std::string reason;
};

/// A version of the jurisdiction policy; 0 is built into the server.
struct Policy {
    std::string text;
    std::vector<PolicyRule> rules;
    std::string created_by;
    std::string created_at;
    std::int64_t version = 0;
};

struct NewPolicy {
    std::int64_t replaces_version = 0;
    std::string text;
};

/// What a policy is asked about.
struct PolicyCase {
    std::optional<std::string> model;  ///< nothing: a card that the catalog does not know
    std::optional<std::string> device_class;
    std::string host_country;
    std::optional<std::string> owner_country;
    std::string renter_country;
    std::optional<std::string> end_use;
};

/// A text that nobody has set, and a case to try it on.
struct PolicyDraft {
    std::string text;
    PolicyCase facts;
};

struct PolicyVerdict {
    std::string effect;
    std::optional<std::string> rule;  ///< nothing: no rule applies, which allows
    std::optional<std::string> reason;
    std::optional<std::string> model;
    std::optional<std::int64_t> tpp;
    std::optional<std::int64_t> performance_density_milli;
    std::optional<std::int64_t> version;  ///< nothing: of a draft
};

struct Approval {
    std::string id;
    std::string organization_id;
    std::string model;
    std::string note;
    std::string created_by;
    std::string created_at;
};

struct NewApproval {
    std::string organization_id;
    std::string model;
    std::string note;
};

}  // namespace fallow::sdk

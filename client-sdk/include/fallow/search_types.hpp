// What searching and explanations give, in the shape of the contract.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fallow/types.hpp"

namespace fallow::sdk {

struct SearchQuery {
    std::string query;
    std::string saved;        ///< the name of a saved one, instead
    bool everything = false;  ///< also what cannot be leased now
};

/// A query under a name, for all keys of the organization.
struct SavedSearch {
    std::string id;
    std::string organization_id;
    std::string name;
    std::string query;
    std::string created_at;
};

struct NewSavedSearch {
    std::string name;
    std::string query;
};

/// One card on offer, as far as a table shows it; the reply has every field of GET /v1/search/fields.
struct SearchCard {
    std::string listing;
    std::string card;
    std::optional<std::string> model;
    std::optional<std::int64_t> vram;
    std::optional<std::int64_t> memory_bandwidth;
    std::optional<std::int64_t> fp32;
    std::int64_t price = 0;
    std::int64_t cards = 0;
    std::int64_t free_cards = 0;
    std::string country;
    std::string runtime;
    std::int64_t notice = 0;
    std::int64_t term_max = 0;
};

struct FacetValue {
    std::string value;
    std::int64_t count = 0;
    std::int64_t price_min_micros_per_hour = 0;
    std::int64_t price_max_micros_per_hour = 0;
};

struct SearchFacets {
    std::vector<FacetValue> model;
    std::vector<FacetValue> country;
    std::vector<FacetValue> device_class;
};

struct SearchSummary {
    std::int64_t total = 0;
    SearchFacets facets;
};

struct SearchReference {
    std::string reference;  ///< Markdown
};

/// One constraint: how many cards it keeps away.
struct ConstraintCount {
    std::string constraint;
    std::optional<std::string> condition;  ///< of a query
    std::int64_t removed = 0;              ///< that pass everything before it
    std::int64_t alone = 0;                ///< whatever else they pass
};

/// What would match if one thing were otherwise.
struct SingleChange {
    std::string constraint;
    std::optional<std::string> was;
    std::optional<std::string> now;  ///< nothing: left out
    Requirements requirements;
    std::int64_t count = 0;
    std::int64_t thousandths = 0;
    std::int64_t hosts = 0;
    std::int64_t price_max_micros_per_hour = 0;
    std::optional<std::int64_t> storage_micros_per_gib_month_max;
    std::optional<std::int64_t> egress_micros_per_gib_max;
    std::int64_t term_ms = 0;
    std::string listing_id;
    std::int64_t price_micros_per_hour = 0;
    std::int64_t cost_micros = 0;
};

struct ChosenBecause {
    std::string listing_id;
    std::int64_t price_micros_per_hour = 0;
    std::optional<std::string> because;  ///< named, price, fragmentation, lowest_id, nvlink or rack
    std::int64_t others = 0;
    std::optional<std::int64_t> others_price_micros_per_hour;
};

struct Explanation {
    std::int64_t cards = 0;
    std::int64_t left = 0;
    std::vector<ConstraintCount> constraints;
    std::vector<SingleChange> changes;
    std::optional<ChosenBecause> chosen;
};

}  // namespace fallow::sdk

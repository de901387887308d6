#include "codec.hpp"
#include "fallow/search_types.hpp"
#include "requirements_fields.hpp"

namespace fallow::sdk {

template <>
struct Fields<SearchCard> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("listing", value.listing);
        visit("card", value.card);
        visit("model", value.model);
        visit("vram", value.vram);
        visit("memory_bandwidth", value.memory_bandwidth);
        visit("fp32", value.fp32);
        visit("price", value.price);
        visit("cards", value.cards);
        visit("free_cards", value.free_cards);
        visit("country", value.country);
        visit("runtime", value.runtime);
        visit("notice", value.notice);
        visit("term_max", value.term_max);
    }
};

template <>
struct Fields<SavedSearch> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("name", value.name);
        visit("query", value.query);
        visit("created_at", value.created_at);
    }
};

template <>
struct Fields<NewSavedSearch> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("name", value.name);
        visit("query", value.query);
    }
};

template <>
struct Fields<FacetValue> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("value", value.value);
        visit("count", value.count);
        visit("price_min_micros_per_hour", value.price_min_micros_per_hour);
        visit("price_max_micros_per_hour", value.price_max_micros_per_hour);
    }
};

template <>
struct Fields<SearchFacets> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("model", value.model);
        visit("country", value.country);
        visit("class", value.device_class);
    }
};

template <>
struct Fields<SearchSummary> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("total", value.total);
        visit("facets", value.facets);
    }
};

template <>
struct Fields<SearchReference> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("reference", value.reference);
    }
};

template <>
struct Fields<ConstraintCount> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("constraint", value.constraint);
        visit("condition", value.condition);
        visit("removed", value.removed);
        visit("alone", value.alone);
    }
};

template <>
struct Fields<SingleChange> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("constraint", value.constraint);
        visit("was", value.was);
        visit("now", value.now);
        visit("requirements", value.requirements);
        visit("count", value.count);
        visit("thousandths", value.thousandths);
        visit("hosts", value.hosts);
        visit("price_max_micros_per_hour", value.price_max_micros_per_hour);
        visit("storage_micros_per_gib_month_max", value.storage_micros_per_gib_month_max);
        visit("egress_micros_per_gib_max", value.egress_micros_per_gib_max);
        visit("term_ms", value.term_ms);
        visit("listing_id", value.listing_id);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("cost_micros", value.cost_micros);
    }
};

template <>
struct Fields<ChosenBecause> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("listing_id", value.listing_id);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("because", value.because);
        visit("others", value.others);
        visit("others_price_micros_per_hour", value.others_price_micros_per_hour);
    }
};

template <>
struct Fields<Explanation> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("cards", value.cards);
        visit("left", value.left);
        visit("constraints", value.constraints);
        visit("changes", value.changes);
        visit("chosen", value.chosen);
    }
};

FALLOW_SDK_REPLY(JsonText);
FALLOW_SDK_REPLY(SearchCard);
FALLOW_SDK_REPLY(SavedSearch);
FALLOW_SDK_REQUEST(NewSavedSearch);
FALLOW_SDK_REPLY(SearchSummary);
FALLOW_SDK_REPLY(SearchReference);
FALLOW_SDK_REPLY(Explanation);

}  // namespace fallow::sdk

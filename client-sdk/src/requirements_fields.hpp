// What orders and explanations have in common. Included by the *_json.cpp files only.
#pragma once

#include "codec.hpp"

namespace fallow::sdk {

template <>
struct Fields<Requirements> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("products", value.products);
        visit("device_class", value.device_class);
        visit("vram_bytes_min", value.vram_bytes_min);
        visit("countries", value.countries);
        visit("countries_excluded", value.countries_excluded);
        visit("listing_id", value.listing_id);
        visit("host_id", value.host_id);
        visit("query", value.query);
    }
};

}  // namespace fallow::sdk

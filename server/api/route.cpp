#include "api/route.hpp"

#include <algorithm>

#include "api/services.hpp"

namespace fallow::api {

const std::string& Call::parameter(std::string_view name) const {
    const auto found =
        std::ranges::find_if(exchange.parameters, [&](const auto& field) { return field.first == name; });
    FALLOW_ASSERT(found != exchange.parameters.end());
    return found->second;
}

std::string Call::actor_name() const {
    if (const auto host = actor().host()) return host->text();
    if (const auto key = actor().key()) return key->text();
    return "system";
}

accounts::Author Call::author() const {
    return {actor_name(), services.now()};
}

std::string Route::name() const {
    return std::string(http::name_of(method)) + " " + pattern;
}

}  // namespace fallow::api

// The catalog of card models.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "routes.hpp"

namespace fallow::sdk {

Page<CardModel> Client::catalog(const std::string& maker, const PageRequest& page) {
    return page_from_json<CardModel>(
        caller_->get("/v1/catalog" + page_query(page, {{"maker", maker}})).body);
}

CardModel Client::catalog_model(std::string_view model) {
    return from_json<CardModel>(caller_->get(route("/v1/catalog/{}", model)).body);
}

}  // namespace fallow::sdk

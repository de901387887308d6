// Searching with a query, and explanations.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "fallow/url.hpp"
#include "routes.hpp"

namespace fallow::sdk {
namespace {

std::vector<std::pair<std::string, std::string>> pairs_of(const SearchQuery& search) {
    return {{"q", search.query}, {"all", search.everything ? "true" : ""}};
}

}  // namespace

Page<JsonText> Client::search(const SearchQuery& search, const PageRequest& page) {
    return page_from_json<JsonText>(caller_->get("/v1/search" + page_query(page, pairs_of(search))).body);
}

SearchSummary Client::search_summary(const SearchQuery& search) {
    PageRequest page;
    page.limit = 1;
    return from_json<SearchSummary>(caller_->get("/v1/search" + page_query(page, pairs_of(search))).body);
}

SearchReference Client::search_reference() {
    return from_json<SearchReference>(caller_->get("/v1/search/fields").body);
}

Explanation Client::explain(const std::string& query) {
    return from_json<Explanation>(caller_->get("/v1/explain" + query_string({{"q", query}})).body);
}

Explanation Client::explain_order(std::string_view order_id) {
    return from_json<Explanation>(caller_->get(route("/v1/orders/{}/explain", order_id)).body);
}

}  // namespace fallow::sdk

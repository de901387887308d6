// Searching with a query, saved searches, and explanations.
#include "caller.hpp"
#include "fallow/client.hpp"
#include "fallow/json.hpp"
#include "fallow/url.hpp"
#include "routes.hpp"

namespace fallow::sdk {
namespace {

std::vector<std::pair<std::string, std::string>> pairs_of(const SearchQuery& search) {
    return {{"q", search.query}, {"saved", search.saved}, {"all", search.everything ? "true" : ""}};
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

Explanation Client::explain(const SearchQuery& search) {
    const std::string query = query_string({{"q", search.query}, {"saved", search.saved}});
    return from_json<Explanation>(caller_->get("/v1/explain" + query).body);
}

Explanation Client::explain_order(std::string_view order_id) {
    return from_json<Explanation>(caller_->get(route("/v1/orders/{}/explain", order_id)).body);
}

SavedSearch Client::save_search(const NewSavedSearch& search, const CallOptions& options) {
    return from_json<SavedSearch>(caller_->post("/v1/saved-searches", to_request_json(search), options));
}

Page<SavedSearch> Client::saved_searches(const PageRequest& page) {
    return page_from_json<SavedSearch>(caller_->get("/v1/saved-searches" + page_query(page)).body);
}

void Client::remove_saved_search(std::string_view search_id) {
    caller_->remove(route("/v1/saved-searches/{}", search_id));
}

}  // namespace fallow::sdk

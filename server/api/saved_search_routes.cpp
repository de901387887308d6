// Queries that an organization keeps under a name. Any of its keys sees and runs them; query_routes.cpp
// runs them.
#include "accounts/keys.hpp"
#include "api/field_decode.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "market/search/query.hpp"
#include "store/saved_searches.hpp"

namespace fallow::api {
namespace {

using accounts::SavedSearch;
using enum http::Method;

void write(JsonWriter& json, const SavedSearch& search) {
    json.begin_object()
        .field("id", search.id)
        .field("organization_id", search.organization)
        .field("name", search.name)
        .field("query", search.query)
        .field("created_at", search.created_at)
        .end_object();
}

void check_text(FieldReader& reader, const std::string& name, const std::string& query) {
    if (reader.has_failed()) return;
    if (const Status good = accounts::check_name(name); !good)
        return reader.fail(good.error().code, "name", good.error().detail);
    if (const auto parsed = market::search::parse_query(query); !parsed)
        reader.fail(parsed.error().code, "query", parsed.error().detail);
}

Result<http::Reply> save(JobCall& call) {
    auto wanted = decode_body(call.request().body, [](FieldReader& reader) {
        SavedSearch search;
        search.name = reader.text("name", {.bytes_max = limits::name_bytes_max});
        search.query = reader.text("query", {.bytes_max = limits::query_bytes_max});
        check_text(reader, search.name, search.query);
        return search;
    });
    if (!wanted) return wanted.error();
    wanted->id = accounts::SavedSearchId(call.services.random());
    wanted->organization = call.actor().organization;
    wanted->created_at = call.services.now();
    const auto made = store::SavedSearchStore(call.tx, call.author()).create(*wanted);
    if (!made) return made.error();
    call.publish.emplace_back("journal");
    JsonWriter json;
    write(json, *made);
    return json_reply(json.take(), 201);
}

Result<http::Reply> list(JobCall& call) {
    return newest_page<SavedSearch>(call, "saved", "", {}, "created_at", &SavedSearch::created_at,
                                    [](JsonWriter& json, const SavedSearch& row) { write(json, row); });
}

Result<http::Reply> remove(JobCall& call) {
    const auto id = call.id<accounts::SavedSearchId>("search");
    if (!id) return id.error();
    const Status removed = store::SavedSearchStore(call.tx, call.author()).remove(*id);
    if (!removed) return removed.error();
    call.publish.emplace_back("journal");
    return no_content();
}

}  // namespace

void add_saved_search_routes(std::vector<Route>& routes) {
    routes.push_back({post, "/v1/saved-searches", writes_as_renter(), small_json, keyed, JobHandler{save}});
    routes.push_back({get, "/v1/saved-searches", Access::any_key(), no_body, not_keyed, JobHandler{list}});
    routes.push_back(
        {del, "/v1/saved-searches/{search}", writes_as_renter(), no_body, not_keyed, JobHandler{remove}});
}

}  // namespace fallow::api

// The card catalog, which any key may read.
#include <fmt/format.h>

#include "api/catalog_json.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

constexpr std::string_view catalog_tag = "catalog";

/// In the order of the slugs; a cursor is the place of the page's last model.
Result<http::Reply> list_models(const Call& call) {
    if (const Status good = check_query(call.request(), {"maker", "limit", "cursor"}); !good)
        return good.error();
    std::optional<market::CardMaker> maker;
    if (const std::string* wanted = call.request().query_value("maker")) {
        maker = parse_enum<market::CardMaker>(*wanted);
        if (!maker)
            return refuse(ErrorCode::invalid_field,
                          fmt::format("Give one of: {}.", all_names<market::CardMaker>()), "query:maker");
    }
    const auto page = read_page(call.request(), catalog_tag, 1);
    if (!page) return page.error();
    const auto models = market::card_models();
    const std::int64_t start = page->after ? page->after->numbers[0] + 1 : 0;
    std::vector<const market::CardModel*> rows;
    for (std::int64_t at = std::max<std::int64_t>(start, 0);
         at < std::ssize(models) && std::ssize(rows) <= page->limit; ++at) {
        const market::CardModel& model = models[static_cast<std::size_t>(at)];
        if (!maker || model.maker == *maker) rows.push_back(&model);
    }
    return list_reply(
        rows, page->limit, catalog_tag,
        [](JsonWriter& json, const market::CardModel* model) { write(json, *model); },
        [&](const market::CardModel* model) {
            return CursorKey{{model - models.data()}, RawId{}};
        });
}

Result<http::Reply> get_model(const Call& call) {
    const market::CardModel* model = market::find_model(call.parameter("model"));
    if (model == nullptr)
        return refuse(ErrorCode::not_found, "The catalog has no such model; GET /v1/catalog lists them.");
    JsonWriter json;
    write(json, *model);
    return json_reply(json.take());
}

}  // namespace

void add_catalog_routes(std::vector<Route>& routes) {
    const auto any = Access::any_key();
    routes.push_back({get, "/v1/catalog", any, no_body, not_keyed, DirectHandler{list_models}});
    routes.push_back({get, "/v1/catalog/{model}", any, no_body, not_keyed, DirectHandler{get_model}});
}

}  // namespace fallow::api

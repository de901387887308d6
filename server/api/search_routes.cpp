// Searching the listings: any key may.
#include <fmt/format.h>

#include "api/listing_views.hpp"
#include "api/market_json.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

constexpr std::string_view listings_tag = "listings";

/// The conditions that the query asks for, over the columns of a listing view.
class Conditions {
  public:
    explicit Conditions(const http::Request& request) : request_(request) {}

    void text(std::string_view name, std::string_view sql) {
        if (const std::string* value = request_.query_value(name)) add(sql, *value);
    }
    template <NamedEnum E>
    void named(std::string_view name, std::string_view sql) {
        const std::string* value = request_.query_value(name);
        if (value == nullptr) return;
        if (!parse_enum<E>(*value)) return fail(name, fmt::format("Give one of: {}.", all_names<E>()));
        add(sql, *value);
    }
    void integer(std::string_view name, std::string_view sql, std::int64_t max) {
        if (request_.query_value(name) == nullptr) return;
        const auto value = query_integer(request_, name, 0, 0, max);
        if (!value) return fail(value.error());
        add(sql, store::parameter_of(*value));
    }
    template <class AnyId>
    void id(std::string_view name, std::string_view sql) {
        const std::string* value = request_.query_value(name);
        if (value == nullptr) return;
        const auto parsed = AnyId::parse(*value);
        if (!parsed)
            return fail(
                Error{ErrorCode::invalid_id,
                      fmt::format("Give an id that is \"{}_\" and 26 lower-case letters and digits.",
                                  AnyId::prefix),
                      fmt::format("query:{}", name)});
        add(sql, store::parameter_of(*parsed));
    }
    void add(std::string_view sql, store::Parameter value) {
        parameters.push_back(std::move(value));
        where += fmt::format("{}{}", where.empty() ? "" : " AND ",
                             fmt::format(fmt::runtime(sql), parameters.size()));
    }

    std::string where;
    store::Parameters parameters;
    std::optional<Error> error;

  private:
    void fail(std::string_view name, std::string detail) {
        fail(Error{ErrorCode::invalid_field, std::move(detail), fmt::format("query:{}", name)});
    }
    void fail(Error wrong) {
        if (!error) error = std::move(wrong);
    }

    const http::Request& request_;
};

Conditions conditions_of(const http::Request& request) {
    Conditions conditions(request);
    conditions.text("product", "product = ${}");
    conditions.named<market::DeviceClass>("device_class", "device_class = ${}");
    conditions.integer("vram_bytes_min", "vram_bytes >= ${}::bigint", INT64_MAX);
    conditions.text("country", "country = ${}");
    conditions.integer("price_max_micros_per_hour", "ask_micros_per_hour <= ${}::bigint",
                       limits::price_micros_per_hour_max);
    conditions.id<HostId>("host_id", "host_id = ${}::uuid");
    conditions.id<OrganizationId>("seller_id", "organization_id = ${}::uuid");
    if (request.query_value("state") == nullptr)
        conditions.add("state = ${}", "open");
    else
        conditions.named<market::ListingState>("state", "state = ${}");
    return conditions;
}

Result<http::Reply> search(JobCall& call) {
    const Status good =
        check_query(call.request(), {"product", "device_class", "vram_bytes_min", "country", "host_id",
                                     "seller_id", "price_max_micros_per_hour", "state", "limit", "cursor"});
    if (!good) return good.error();
    Conditions conditions = conditions_of(call.request());
    if (conditions.error) return *conditions.error;
    const auto page = read_page(call.request(), listings_tag, 1);
    if (!page) return page.error();
    if (page->after) {
        conditions.add("(ask_micros_per_hour, id) > (${}::bigint",
                       store::parameter_of(page->after->numbers[0]));
        conditions.parameters.push_back(format_uuid(page->after->id));
        conditions.where += fmt::format(", ${}::uuid)", conditions.parameters.size());
    }
    conditions.parameters.push_back(store::parameter_of(page->limit + 1));
    const auto views =
        read_listing_views(call.tx,
                           fmt::format("{} ORDER BY ask_micros_per_hour, id LIMIT ${}::bigint",
                                       conditions.where, conditions.parameters.size()),
                           conditions.parameters);
    return list_reply(
        views, page->limit, listings_tag,
        [viewer = call.actor().organization](JsonWriter& json, const market::ListingView& view) {
            write(json, view, viewer);
        },
        [](const market::ListingView& view) {
            return CursorKey{{view.listing.ask.micros_per_hour}, view.listing.id.raw};
        });
}

Result<http::Reply> get_listing(JobCall& call) {
    const auto id = call.id<ListingId>("listing");
    if (!id) return id.error();
    const auto views = read_listing_views(call.tx, "id = $1", {store::parameter_of(*id)});
    if (views.empty()) return refuse(ErrorCode::not_found, "There is no such listing.");
    return json_reply(to_json(views[0], call.actor().organization));
}

}  // namespace

void add_search_routes(std::vector<Route>& routes) {
    const auto any = Access::any_key();
    routes.push_back({get, "/v1/listings", any, no_body, not_keyed, JobHandler{search}});
    routes.push_back({get, "/v1/listings/{listing}", any, no_body, not_keyed, JobHandler{get_listing}});
}

}  // namespace fallow::api

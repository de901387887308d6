// Spot: the pools' prices, which any key may read, and a renter's bid.
#include "api/market_json.hpp"
#include "api/orders_decode.hpp"
#include "api/outcomes.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/settled.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

constexpr std::string_view pools_tag = "pools";
constexpr std::string_view history_tag = "spotprices";

void write_pool(JsonWriter& json, const market::SpotPool& pool) {
    json.begin_object()
        .field("id", pool.id)
        .field("name", pool.name)
        .field("product", pool.product)
        .field("vram_gib", pool.vram_gib)
        .field("price_micros_per_hour", pool.price)
        .field("cards", pool.cards)
        .field("cards_leased", pool.cards_leased)
        .field("bids", pool.bids)
        .field("repriced_at", pool.repriced_at)
        .end_object();
}

/// By its name; there is none with a name that is no pool's.
Result<market::SpotPool> find_pool(JobCall& call) {
    const auto rows = store::read_all<market::SpotPool>(call.tx.query(
        "SELECT " + store::select_list<market::SpotPool>() + " FROM spot_pools WHERE name = $1",
        call.parameter("pool")));
    if (rows.empty())
        return refuse(ErrorCode::not_found, "There is no such pool: GET /v1/spot/pools names all.");
    return rows.front();
}

Result<http::Reply> list_pools(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), pools_tag, 0);
    if (!page) return page.error();
    const RawId after = page->after ? page->after->id : RawId{};
    const auto pools = store::read_all<market::SpotPool>(
        call.tx.query("SELECT " + store::select_list<market::SpotPool>() +
                          " FROM spot_pools WHERE id > $1::uuid ORDER BY id LIMIT $2::bigint",
                      SpotPoolId(after), page->limit + 1));
    return list_reply(pools, page->limit, pools_tag, write_pool, [](const market::SpotPool& pool) {
        return CursorKey{{}, pool.id.raw};
    });
}

Result<http::Reply> get_pool(JobCall& call) {
    const auto pool = find_pool(call);
    if (!pool) return pool.error();
    JsonWriter json;
    write_pool(json, *pool);
    return json_reply(json.take());
}

Result<http::Reply> pool_history(JobCall& call) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), history_tag, 1);
    if (!page) return page.error();
    const auto pool = find_pool(call);
    if (!pool) return pool.error();
    const std::int64_t before = page->after ? page->after->numbers[0] : INT64_MAX;
    const auto prices = store::read_all<market::SpotPrice>(
        call.tx.query("SELECT " + store::select_list<market::SpotPrice>() +
                          " FROM spot_prices WHERE pool_id = $1 AND at < $2::bigint "
                          "ORDER BY at DESC LIMIT $3::bigint",
                      pool->id, before, page->limit + 1));
    return list_reply(
        prices, page->limit, history_tag,
        [](JsonWriter& json, const market::SpotPrice& price) {
            json.begin_object()
                .field("at", price.at)
                .field("price_micros_per_hour", price.price)
                .end_object();
        },
        [](const market::SpotPrice& price) {
            return CursorKey{{price.at.ms}, price.pool.raw};
        });
}

Result<Decoded> decode_change_bid(const Call& call) {
    const auto id = call.id<OrderId>("order");
    if (!id) return id.error();
    const auto change = decode_bid(call.request().body, *id);
    if (!change) return change.error();
    Decoded decoded;
    decoded.command = *change;
    return decoded;
}

}  // namespace

void add_spot_routes(std::vector<Route>& routes) {
    const auto any = Access::any_key();
    routes.push_back({get, "/v1/spot/pools", any, no_body, not_keyed, JobHandler{list_pools}});
    routes.push_back({get, "/v1/spot/pools/{pool}", any, no_body, not_keyed, JobHandler{get_pool}});
    routes.push_back(
        {get, "/v1/spot/pools/{pool}/history", any, no_body, not_keyed, JobHandler{pool_history}});
    routes.push_back({post, "/v1/orders/{order}/bid", writes_as_renter(), small_json, keyed,
                      CommandHandler{decode_change_bid, encode_order, 200, require_live_bid}});
}

}  // namespace fallow::api

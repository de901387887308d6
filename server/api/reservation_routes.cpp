// Future time: reserving it, giving it up, selling it on. Read by renters and sellers.
#include "api/market_json.hpp"
#include "api/outcomes.hpp"
#include "api/queries.hpp"
#include "api/reservations_decode.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/settled.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

Result<Decoded> decode_reserve_call(const Call& call) {
    const auto wanted = decode_reserve(call.request().body, call.services.signing_key);
    if (!wanted) return wanted.error();
    return command(*wanted);
}

template <auto decode>
Result<Decoded> decode_for_reservation(const Call& call) {
    const auto id = call.id<ReservationId>("reservation");
    if (!id) return id.error();
    const auto wanted = decode(call.request().body, *id);
    if (!wanted) return wanted.error();
    return command(*wanted);
}

/// Those of the caller, as renter or seller; with offered=true what others offer, and the caller too.
Result<http::Reply> list_reservations(JobCall& call) {
    if (const Status good = check_query(call.request(), {"offered", "limit", "cursor"}); !good)
        return good.error();
    const std::string* offered = call.request().query_value("offered");
    if (offered != nullptr && *offered != "true" && *offered != "false")
        return refuse(ErrorCode::invalid_field, "Give true or false.", "query:offered");
    const bool is_book = offered != nullptr && *offered == "true";
    const std::string tag = is_book ? "offers" : "reservations";
    const auto page = read_page(call.request(), tag, 1);
    if (!page) return page.error();
    const OrganizationId viewer = call.actor().organization;
    store::Parameters parameters;
    if (!is_book) parameters.push_back(store::parameter_of(viewer));
    const auto rows =
        read_newest<market::Reservation>(call.tx,
                                         is_book ? "state = 'booked' AND offer_micros IS NOT NULL"
                                                 : "(organization_id = $1 OR seller_id = $1)",
                                         std::move(parameters), "booked_at", *page);
    return list_reply(
        rows, page->limit, tag,
        [&](JsonWriter& json, const market::Reservation& row) { write(json, row, viewer); },
        [](const market::Reservation& row) {
            return CursorKey{{row.booked_at.ms}, row.id.raw};
        });
}

Result<http::Reply> get_reservation(JobCall& call) {
    const auto id = call.id<ReservationId>("reservation");
    if (!id) return id.error();
    const auto row = find_row<market::Reservation>(call.tx, *id);
    if (!row) return row.error();
    return json_reply(to_json(*row, call.actor().organization));
}

}  // namespace

void add_reservation_routes(std::vector<Route>& routes) {
    const auto writes = writes_as_renter();
    const auto either = Access::key({auth::Scope::renter_write, auth::Scope::seller_write});
    routes.push_back({post, "/v1/reservations", writes, small_json, keyed,
                      CommandHandler{decode_reserve_call, encode_reservation, 201}});
    routes.push_back(
        {get, "/v1/reservations", reads_as_either(), no_body, not_keyed, JobHandler{list_reservations}});
    routes.push_back({get, "/v1/reservations/{reservation}", reads_as_either(), no_body, not_keyed,
                      JobHandler{get_reservation}});
    routes.push_back({post, "/v1/reservations/{reservation}/cancel", either, small_json, keyed,
                      CommandHandler{decode_for_reservation<decode_cancel_reservation>, encode_reservation,
                                     200, require_booked_reservation}});
    routes.push_back({post, "/v1/reservations/{reservation}/offer", writes, small_json, keyed,
                      CommandHandler{decode_for_reservation<decode_offer>, encode_reservation, 200,
                                     require_booked_reservation}});
    routes.push_back({post, "/v1/reservations/{reservation}/buy", writes, small_json, keyed,
                      CommandHandler{decode_for_reservation<decode_buy>, encode_reservation, 201,
                                     require_booked_reservation}});
}

}  // namespace fallow::api

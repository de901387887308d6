// Events of an organization, and of all of them for the operator: a list, or a stream.
#include "api/event_stream.hpp"
#include "api/events.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

std::string cursor_of(const JournalPosition& position) {
    return encode_cursor(
        "events",
        {{position[0].sequence, position[0].entry, position[1].sequence, position[1].entry}, RawId{}});
}

/// Where the request wants to start: its cursor, else its Last-Event-ID, else nothing.
Result<std::optional<JournalPosition>> start_of(const http::Request& request, EventReader& reader,
                                                const PageRequest& page) {
    if (page.after) {
        const auto& n = page.after->numbers;
        return std::optional(JournalPosition{StreamPosition{n[0], n[1]}, StreamPosition{n[2], n[3]}});
    }
    const std::string* seen = request.header("last-event-id");
    if (seen == nullptr || seen->empty()) return std::optional<JournalPosition>();
    const auto position = reader.resume(*seen);
    if (!position) return position.error();
    return std::optional(*position);
}

Result<http::Reply> read_events(JobCall& call, std::optional<OrganizationId> audience) {
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    const auto page = read_page(call.request(), "events", 4);
    if (!page) return page.error();
    EventReader reader(call.tx, call.services.config.market, audience);
    const auto start = start_of(call.request(), reader, *page);
    if (!start) return start.error();
    if (wants_events(call.request()))
        return stream_events(call, audience, *start ? **start : reader.head());

    const auto found =
        reader.read(start->value_or(JournalPosition{}), static_cast<std::size_t>(page->limit));
    JsonWriter json;
    json.begin_object().key("items").begin_array();
    for (const Event& event : found.events)
        json.raw(event_json(event));
    json.end_array().key("next_cursor");
    if (found.has_more)
        json.value(cursor_of(found.next));
    else
        json.null();
    json.end_object();
    return json_reply(json.take());
}

Result<http::Reply> own_events(JobCall& call) {
    return read_events(call, call.actor().organization);
}
Result<http::Reply> audit(JobCall& call) {
    return read_events(call, std::nullopt);
}

}  // namespace

void add_event_routes(std::vector<Route>& routes) {
    // The journal has no row-level security: its reader filters by audience.
    routes.push_back({get, "/v1/events", Access::any_key(), no_body, not_keyed,
                      JobHandler{own_events, JobHandler::As::admin}});
    routes.push_back({get, "/v1/admin/audit", administers(), no_body, not_keyed,
                      JobHandler{audit, JobHandler::As::admin}});
}

}  // namespace fallow::api

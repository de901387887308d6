// What sellers call: enrolment tokens, hosts, listings, reclaiming.
#include "api/json_writer.hpp"
#include "api/listings_decode.hpp"
#include "api/market_json.hpp"
#include "api/outcomes.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/services.hpp"
#include "api/settled.hpp"
#include "auth/keys.hpp"
#include "store/accounts_store.hpp"
#include "store/row_reader.hpp"

namespace fallow::api {
namespace {

using enum http::Method;

Result<http::Reply> create_token(JobCall& call) {
    const auto wanted = decode_enrollment_token(call.request().body);
    if (!wanted) return wanted.error();
    if (const Status good = accounts::check_name(wanted->name); !good) return good.error();
    const std::string secret = auth::generate_secret(auth::SecretKind::enrollment_token);
    const Time now = call.services.now();
    accounts::EnrollmentToken token;
    token.id = TokenId(call.services.random());
    token.organization = call.actor().organization;
    token.name = wanted->name;
    token.country = wanted->country;
    token.created_at = now;
    token.expires_at = now + accounts::enrollment_token_life;
    const auto made =
        store::AccountsStore(call.tx, call.author()).create_token(token, auth::key_hash(secret));
    if (!made) return made.error();
    call.publish.emplace_back("journal");
    JsonWriter json;
    json.begin_object().field("token", secret).field("expires_at", made->expires_at).end_object();
    return json_reply(json.take(), 201);
}

Result<http::Reply> list_hosts(JobCall& call) {
    return newest_page<market::Host>(call, "hosts", "organization_id = $1",
                                     {store::parameter_of(call.actor().organization)}, "enrolled_at",
                                     &market::Host::enrolled_at,
                                     [](JsonWriter& json, const market::Host& host) { write(json, host); });
}

Result<http::Reply> get_host(JobCall& call) {
    const auto id = call.id<HostId>("host");
    if (!id) return id.error();
    const auto host = find_row<market::Host>(call.tx, *id);
    if (!host) return host.error();
    return json_reply(to_json(*host));
}

/// Of one's own host, or of any that is offered.
Result<http::Reply> get_score(JobCall& call) {
    const auto id = call.id<HostId>("host");
    if (!id) return id.error();
    const std::string& columns = store::select_list<market::HostRecord>();
    const auto found = call.tx.query("SELECT " + columns + " FROM hosts WHERE id = $1 UNION SELECT " +
                                         columns + " FROM listed_host_records WHERE id = $1",
                                     *id);
    if (found.empty()) return refuse(ErrorCode::not_found, "There is no such host.");
    return json_reply(score_json(*id, store::read_row<market::HostRecord>(found[0])));
}

Result<http::Reply> list_cards(JobCall& call) {
    const auto id = call.id<HostId>("host");
    if (!id) return id.error();
    if (const Status good = check_query(call.request(), {"limit", "cursor"}); !good) return good.error();
    if (const auto host = find_row<market::Host>(call.tx, *id); !host) return host.error();
    const auto page = read_page(call.request(), "cards", 1);
    if (!page) return page.error();
    const CursorKey after = page->after.value_or(CursorKey{{-1}, RawId{}});
    const auto cards = store::read_all<market::Card>(call.tx.query(
        "SELECT " + store::select_list<market::Card>() +
            " FROM cards WHERE host_id = $1 AND (index, id) > ($2::bigint, $3::uuid) ORDER BY index, id "
            "LIMIT $4::bigint",
        *id, after.numbers[0], CardId(after.id), page->limit + 1));
    return list_reply(
        cards, page->limit, "cards", [](JsonWriter& json, const market::Card& card) { write(json, card); },
        [](const market::Card& card) {
            return CursorKey{{card.index}, card.id.raw};
        });
}

/// What renters have cost the host in its last day without paying: the same leases that are counted
/// against them (market/failed_starts).
Result<http::Reply> get_failed_starts(JobCall& call) {
    const auto id = call.id<HostId>("host");
    if (!id) return id.error();
    if (const auto host = find_row<market::Host>(call.tx, *id); !host) return host.error();
    const Time since = call.services.now() - days(1);
    const auto found = call.tx.query(
        "SELECT organization_id, count(*), count(*) FILTER (WHERE end_reason = 'image_pull_failed'), "
        "max(ended_at), (array_agg(end_reason ORDER BY ended_at DESC))[1] FROM leases WHERE host_id = $1 "
        "AND "
        "state = 'ended' AND preparing_at IS NOT NULL AND running_at IS NULL AND organization_id <> "
        "seller_id AND end_reason IN ('image_pull_failed', 'start_failed', 'start_timeout', "
        "'cancelled_by_renter') AND ended_at > $2::bigint GROUP BY organization_id ORDER BY count(*) DESC, "
        "organization_id LIMIT 100",
        *id, since);
    JsonWriter json;
    json.begin_object().field("since", since).key("renters").begin_array();
    for (const auto& row : found)
        json.begin_object()
            .field("organization_id", store::read_cell<OrganizationId>(row[0]))
            .field("failed_starts", store::read_cell<std::int64_t>(row[1]))
            .field("failed_pulls", store::read_cell<std::int64_t>(row[2]))
            .field("last_at", store::read_cell<Time>(row[3]))
            .field("last_reason", store::read_cell<std::string>(row[4]))
            .end_object();
    json.end_array().end_object();
    return json_reply(json.take());
}

template <market::HostAction action>
Result<Decoded> decode_host_action(const Call& call) {
    const auto id = call.id<HostId>("host");
    if (!id) return id.error();
    return plain_command(call, market::ChangeHost{*id, action});
}

Result<Decoded> decode_add_maintenance(const Call& call) {
    const auto id = call.id<HostId>("host");
    if (!id) return id.error();
    const auto maintenance = decode_maintenance(call.request().body, *id);
    if (!maintenance) return maintenance.error();
    return command(*maintenance);
}

Result<Decoded> decode_remove_maintenance(const Call& call) {
    const auto id = call.id<HostId>("host");
    if (!id) return id.error();
    return plain_command(call, market::RemoveMaintenance{*id});
}

Result<Decoded> decode_create_listing(const Call& call) {
    const auto listing = decode_listing(call.request().body);
    if (!listing) return listing.error();
    return command(*listing);
}

Result<Decoded> decode_update_listing(const Call& call) {
    const auto id = call.id<ListingId>("listing");
    if (!id) return id.error();
    const auto version = if_match(call.request());
    if (!version) return version.error();
    const auto change = decode_listing_change(call.request().body, *id, *version);
    if (!change) return change.error();
    return command(*change);
}

Result<Decoded> decode_change_listings(const Call& call) {
    const auto changes = decode_listing_changes(call.request().body);
    if (!changes) return changes.error();
    return command(*changes);
}

Result<Decoded> decode_withdraw_listing(const Call& call) {
    const auto id = call.id<ListingId>("listing");
    if (!id) return id.error();
    return plain_command(call, market::WithdrawListing{*id});
}

Result<Decoded> decode_reclaim(const Call& call) {
    const auto id = call.id<LeaseId>("lease");
    if (!id) return id.error();
    const auto reclaim = decode_reclaim_lease(call.request().body, *id);
    if (!reclaim) return reclaim.error();
    return command(*reclaim);
}

}  // namespace

void add_seller_routes(std::vector<Route>& routes) {
    const auto reads = reads_as_seller();
    const auto writes = writes_as_seller();
    routes.push_back(
        {post, "/v1/enrollment-tokens", writes, small_json, keyed, JobHandler{create_token}, true});
    routes.push_back({get, "/v1/hosts", reads, no_body, not_keyed, JobHandler{list_hosts}});
    routes.push_back({get, "/v1/hosts/{host}", reads, no_body, not_keyed, JobHandler{get_host}});
    routes.push_back({get, "/v1/hosts/{host}/cards", reads, no_body, not_keyed, JobHandler{list_cards}});
    routes.push_back(
        {get, "/v1/hosts/{host}/score", reads_as_either(), no_body, not_keyed, JobHandler{get_score}});
    using enum market::HostAction;
    routes.push_back({post, "/v1/hosts/{host}/drain", writes, small_json, keyed,
                      CommandHandler{decode_host_action<drain>, encode_host}});
    routes.push_back({post, "/v1/hosts/{host}/resume", writes, small_json, keyed,
                      CommandHandler{decode_host_action<resume>, encode_host}});
    routes.push_back({post, "/v1/hosts/{host}/retire", writes, small_json, keyed,
                      CommandHandler{decode_host_action<retire>, encode_host}});
    routes.push_back({post, "/v1/hosts/{host}/maintenance", writes, small_json, keyed,
                      CommandHandler{decode_add_maintenance, encode_host}});
    routes.push_back({del, "/v1/hosts/{host}/maintenance", writes, no_body, not_keyed,
                      CommandHandler{decode_remove_maintenance, encode_nothing, 204}});
    routes.push_back(
        {get, "/v1/hosts/{host}/failed-starts", reads, no_body, not_keyed, JobHandler{get_failed_starts}});
    routes.push_back({post, "/v1/listings", writes, large_json, keyed,
                      CommandHandler{decode_create_listing, encode_listing, 201}});
    routes.push_back({post, "/v1/listing-changes", writes, large_json, keyed,
                      CommandHandler{decode_change_listings, encode_listings}});
    routes.push_back({patch, "/v1/listings/{listing}", writes, large_json, not_keyed,
                      CommandHandler{decode_update_listing, encode_listing, 200, require_offered_listing}});
    routes.push_back(
        {post, "/v1/listings/{listing}/withdraw", writes, small_json, keyed,
         CommandHandler{decode_withdraw_listing, encode_listing, 200, require_offered_listing}});
    routes.push_back({post, "/v1/leases/{lease}/reclaim", writes, small_json, keyed,
                      CommandHandler{decode_reclaim, encode_lease, 200, require_live_lease}});
}

}  // namespace fallow::api

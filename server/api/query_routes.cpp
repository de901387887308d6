// Searching with a query, and what keeps a query or an order from finding more. All of it is read from the
// index of this server; no row of the database is touched but the order that is asked about, or the saved
// query that is run.
#include <fmt/format.h>

#include <memory>

#include "api/explain_json.hpp"
#include "api/gateway.hpp"
#include "api/queries.hpp"
#include "api/routes.hpp"
#include "api/search_cursor.hpp"
#include "api/services.hpp"
#include "market/search/reference.hpp"
#include "store/saved_searches.hpp"

namespace fallow::api {
namespace {

using enum http::Method;
namespace search = market::search;

Error not_loaded() {
    return refuse(ErrorCode::not_leader, "The market is being read by this server: try again in a second.");
}

/// The text of a query, and the parameter that gave it.
struct Given {
    std::string text;
    std::string pointer;
};

Result<search::Query> query_of(const Given& given) {
    auto query = search::parse_query(given.text);
    if (!query) return refuse(query.error().code, query.error().detail, given.pointer);
    return query;
}

Result<bool> flag_of(const http::Request& request, std::string_view name) {
    const std::string* text = request.query_value(name);
    if (text == nullptr || *text == "false") return false;
    if (*text == "true") return true;
    return refuse(ErrorCode::invalid_field, "Give true or false.", fmt::format("query:{}", name));
}

struct Asked {
    search::Query query;
    bool everything = false;
    std::int64_t page = 0;
    std::optional<search::Position> after;

    /// What a cursor is good for.
    [[nodiscard]] std::string identity() const { return (everything ? "all " : "now ") + query.text; }
};

Result<Asked> asked_of(const http::Request& request, const Given& given) {
    auto query = query_of(given);
    if (!query) return query.error();
    const auto everything = flag_of(request, "all");
    if (!everything) return everything.error();
    const auto page =
        query_integer(request, "limit", limits::page_items_default, 1, limits::page_items_max);
    if (!page) return page.error();
    Asked asked{*std::move(query), *everything, *page, std::nullopt};
    if (const std::string* cursor = request.query_value("cursor")) {
        auto position = decode_search_cursor(asked.identity(), asked.query, *cursor);
        if (!position) return position.error();
        asked.after = *std::move(position);
    }
    return asked;
}

void write_row(JsonWriter& json, const search::Index& index, std::size_t row) {
    json.begin_object();
    for (const search::Field& field : search::fields()) {
        json.key(field.name);
        write(json, field, index.at(row, field));
    }
    json.end_object();
}

void write_facets(JsonWriter& json, const std::vector<search::Facet>& facets) {
    json.begin_object();
    for (const search::Facet& facet : facets) {
        json.key(facet.field->name).begin_array();
        for (const search::FacetValue& value : facet.values)
            json.begin_object()
                .field("value", value.text)
                .field("count", value.count)
                .field("price_min_micros_per_hour", value.lowest)
                .field("price_max_micros_per_hour", value.highest)
                .end_object();
        json.end_array();
    }
    json.end_object();
}

http::Reply page_of(const search::Index& index, const Asked& asked, Time now) {
    const search::Found found = index.search(
        {asked.query, now, asked.everything, static_cast<std::size_t>(asked.page), asked.after});
    JsonWriter json(1024 * (found.rows.size() + 1));
    json.begin_object().key("items").begin_array();
    for (const std::size_t row : found.rows)
        write_row(json, index, row);
    json.end_array().key("next_cursor");
    if (found.next)
        json.value(encode_search_cursor(asked.identity(), *found.next));
    else
        json.null();
    json.key("total");
    if (asked.after)
        json.null().key("facets").null();
    else
        write_facets(json.value(found.total).key("facets"), found.facets);
    json.end_object();
    return json_reply(json.take());
}

void on_worker(const ExchangePtr& exchange, Services& services, const AsyncHandler::Done& done,
               std::function<void(store::Connection&)> work) {
    const bool queued = services.workers.submit(
        [exchange, &services, work = std::move(work)](store::Connection& connection) {
            try {
                work(connection);
            } catch (const store::DatabaseError& error) {
                finish_failed(exchange, services, error);
            } catch (const std::exception& error) {
                finish_failed(exchange, services, error.what());
            }
        });
    if (!queued) done(refuse(ErrorCode::queue_full, "The server has too much to do; try again."));
}

/// Answers from a worker's thread, so that a long look at the index holds no session up.
void answer_from(const ExchangePtr& exchange, Services& services, const AsyncHandler::Done& done,
                 std::function<http::Reply()> read) {
    on_worker(exchange, services, done,
              [done, read = std::move(read)](store::Connection&) { done(read()); });
}

/// Goes on with the query that the request has, or with the saved one that it names.
void with_query(const ExchangePtr& exchange, Services& services, const AsyncHandler::Done& done,
                std::function<void(const Given&)> then) {
    const std::string* text = exchange->request.query_value("q");
    const std::string* saved = exchange->request.query_value("saved");
    if (saved == nullptr) return then({text != nullptr ? *text : std::string(), "query:q"});
    if (text != nullptr)
        return done(
            refuse(ErrorCode::invalid_field, "Give a query or a saved one, not both.", "query:saved"));
    on_worker(exchange, services, done,
              [exchange, done, name = *saved, then = std::move(then)](store::Connection& connection) {
                  store::Transaction tx(connection, store::Actor::request(exchange->actor.organization));
                  auto found = store::SavedSearchStore(tx, {}).find(name);
                  if (!found) return done(refuse(found.error().code, found.error().detail, "query:saved"));
                  tx.commit();
                  then({found->query, "query:saved"});
              });
}

/// One search on its way: it waits for the index to be no older than its first page, and then looks.
class Run : public std::enable_shared_from_this<Run> {
  public:
    Run(ExchangePtr exchange, Services& services, Asked asked, AsyncHandler::Done done)
        : exchange_(std::move(exchange)),
          services_(services),
          asked_(std::move(asked)),
          done_(std::move(done)),
          give_up_at_(engine::Hub::Clock::now() + std::chrono::milliseconds(limits::search_catch_up_ms)) {}

    void start() {
        const std::uint64_t seen = services_.hub.version("journal");
        if (!services_.search.is_loaded()) return done_(not_loaded());
        if (!asked_.after || services_.search.sequence() >= asked_.after->first_sequence) return look();
        if (engine::Hub::Clock::now() >= give_up_at_)
            return done_(refuse(ErrorCode::not_leader,
                                "This server is behind the one that gave the first page: try again."));
        services_.hub.wait("journal", seen, give_up_at_,
                           [self = shared_from_this()](bool) { self->start(); });
    }

  private:
    void look() {
        answer_from(exchange_, services_, done_, [self = shared_from_this()] {
            return self->services_.search.read([&](const search::Index& index) {
                return page_of(index, self->asked_, self->services_.now());
            });
        });
    }

    const ExchangePtr exchange_;
    Services& services_;
    const Asked asked_;
    const AsyncHandler::Done done_;
    const engine::Hub::Clock::time_point give_up_at_;
};

void find(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done) {
    const Status good = check_query(exchange->request, {"q", "saved", "all", "limit", "cursor"});
    if (!good) return done(good.error());
    with_query(exchange, services, done, [exchange, &services, done](const Given& given) {
        auto asked = asked_of(exchange->request, given);
        if (!asked) return done(asked.error());
        std::make_shared<Run>(exchange, services, *std::move(asked), done)->start();
    });
}

Result<http::Reply> fields(const Call& call) {
    if (const Status good = check_query(call.request(), {}); !good) return good.error();
    JsonWriter json(8 * 1024);
    json.begin_object().key("fields").begin_array();
    for (const search::Field& field : search::fields()) {
        json.begin_object()
            .field("name", field.name)
            .field("kind", field.kind)
            .field("of", field.scope)
            .field("meaning", field.meaning);
        json.key("units").begin_array();
        for (const search::Unit& unit : search::units_of(field.kind))
            if (!unit.name.empty()) json.value(unit.name);
        json.end_array().field("example", search::example_of(field.kind)).end_object();
    }
    json.end_array().field("reference", search::reference_markdown()).end_object();
    return json_reply(json.take());
}

http::Reply explanation_reply(const market::Explanation& explanation) {
    JsonWriter json(4096);
    write(json, explanation);
    return json_reply(json.take());
}

void explain(const ExchangePtr& exchange, Services& services, AsyncHandler::Done done) {
    const Status good = check_query(exchange->request, {"q", "saved"});
    if (!good) return done(good.error());
    with_query(exchange, services, done, [exchange, &services, done](const Given& given) {
        auto query = query_of(given);
        if (!query) return done(query.error());
        if (!services.search.is_loaded()) return done(not_loaded());
        auto asked = std::make_shared<search::Query>(*std::move(query));
        answer_from(exchange, services, done, [&services, asked] {
            return services.search.read([&](const search::Index& index) {
                return explanation_reply(market::explain_query(index.state(), *asked, services.now()));
            });
        });
    });
}

Result<http::Reply> explain_order(JobCall& call) {
    const auto id = call.id<OrderId>("order");
    if (!id) return id.error();
    if (const Status good = check_query(call.request(), {}); !good) return good.error();
    auto order = find_row<market::Order>(call.tx, *id);
    if (!order) return order.error();
    if (order->requirements.query) static_cast<void>(search::compile(order->requirements));
    std::optional<market::Lease> lease;
    if (order->lease) {
        auto found = find_row<market::Lease>(call.tx, *order->lease);
        if (!found) return found.error();
        lease = *std::move(found);
    }
    if (!call.services.search.is_loaded()) return not_loaded();
    return call.services.search.read([&](const search::Index& index) {
        const Time now = call.services.now();
        return explanation_reply(lease ? market::explain_filled(index.state(), *order, *lease, now)
                                       : market::explain(index.state(), *order, now));
    });
}

}  // namespace

void add_query_routes(std::vector<Route>& routes) {
    const auto any = Access::any_key();
    routes.push_back({get, "/v1/search", any, no_body, not_keyed, AsyncHandler{find}});
    routes.push_back({get, "/v1/search/fields", any, no_body, not_keyed, DirectHandler{fields}});
    routes.push_back({get, "/v1/explain", any, no_body, not_keyed, AsyncHandler{explain}});
    routes.push_back({get, "/v1/orders/{order}/explain", reads_as_renter(), no_body, not_keyed,
                      JobHandler{explain_order}});
}

}  // namespace fallow::api

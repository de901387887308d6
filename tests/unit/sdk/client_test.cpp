#include "fallow/client.hpp"

#include <catch2/catch.hpp>

#include "fallow/artifacts.hpp"
#include "fallow/digest.hpp"
#include "unit/sdk/fake_environment.hpp"
#include "unit/sdk/scripted_server.hpp"

namespace fallow::sdk {
namespace {

using testing::broken;
using testing::event_stream;
using testing::FakeEnvironment;
using testing::json;
using testing::problem;
using testing::reply;
using testing::ScriptedReply;
using testing::ScriptedServer;

constexpr std::string_view account_json =
    R"({"available_micros":5,"held_micros":0,"earned_micros":0,"currency":"USD"})";
constexpr std::string_view order_json =
    R"({"id":"order_1","organization_id":"org_1","state":"standing","reason":null,)"
    R"("requirements":{"products":["H100"]},)"
    R"("count":1,"thousandths":1000,"hosts":1,)"
    R"("price_max_micros_per_hour":7,"term_ms":60000,"fill_or_kill":false,)"
    R"("placed_at":"t","expires_at":"t",)"
    R"("lease_id":null,"job_id":null,"storage_bytes":0,)"
    R"("egress_gib":0,"overage_micros_max":0,"egress_mib_used":0,"overage_micros_used":0,"version":3})";

/// A server with a script, and a client whose pauses take no time.
struct Bench {
    explicit Bench(std::vector<ScriptedReply> script)
        : server(std::move(script)),
          client({.url = server.url(), .ca_file = {}, .api_key = "k", .retry = {}}, environment) {}

    ScriptedServer server;
    FakeEnvironment environment;
    Client client;
};

std::vector<std::string> lines_of(ScriptedServer& server) {
    std::vector<std::string> lines;
    for (const auto& request : server.requests())
        lines.push_back(request.line());
    return lines;
}

TEST_CASE("a passing refusal and a broken connection are tried again") {
    Bench bench(
        {broken(), problem(503, "queue_full", true), reply(502, "<html>"), json(200, account_json)});
    CHECK(bench.client.account().available_micros == 5);
    CHECK(bench.server.requests().size() == 4);
    CHECK(bench.environment.pauses.size() == 3);
}

TEST_CASE("a refusal is thrown with everything the server said") {
    Bench bench({problem(409, "no_match", true)});
    try {
        static_cast<void>(bench.client.place_order({}));
        FAIL("no error");
    } catch (const ApiError& error) {
        CHECK(error.status() == 409);
        CHECK(error.code() == "no_match");
        CHECK(error.detail() == "D");
        CHECK(error.pointer() == "/count");
        CHECK(error.request_id() == "req_1");
        CHECK(error.retryable());
        CHECK(std::string(error.what()) == "no_match: D (/count)");
    }
    CHECK(bench.environment.pauses.empty());
}

TEST_CASE("Retry-After is respected, and the deadline too") {
    SECTION("a short one is waited for") {
        Bench bench({problem(503, "draining", true, "Retry-After: 7\r\n"), json(200, account_json)});
        CHECK(bench.client.account().available_micros == 5);
        CHECK(bench.environment.pauses == std::vector<std::int64_t>{7'000});
    }
    SECTION("one past the deadline is not") {
        Bench bench({problem(503, "draining", true, "Retry-After: 61\r\n")});
        CHECK_THROWS_AS(bench.client.account(), ApiError);
        CHECK(bench.environment.pauses.empty());
    }
    SECTION("a date is not understood, and does no harm") {
        Bench bench({problem(503, "draining", true, "Retry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n"),
                     json(200, account_json)});
        CHECK(bench.client.account().available_micros == 5);
    }
}

TEST_CASE("attempts end, and the last failure comes out") {
    Bench bench(std::vector<ScriptedReply>(20, problem(503, "not_leader", true)));
    CHECK_THROWS_AS(bench.client.account(), ApiError);
    CHECK(bench.server.requests().size() == 6);
    CHECK(bench.environment.pauses.size() == 5);
}

TEST_CASE("the overall deadline ends a call before its attempts do") {
    Bench bench(std::vector<ScriptedReply>(20, problem(503, "not_leader", true, "Retry-After: 25\r\n")));
    CHECK_THROWS_AS(bench.client.account(), ApiError);
    CHECK(bench.environment.pauses == std::vector<std::int64_t>{25'000, 25'000});
}

TEST_CASE("a POST keeps its Idempotency-Key over its attempts, and another call has another one") {
    const std::string placed = R"({"order":)" + std::string(order_json) + R"(,"lease":null,"job":null})";
    Bench bench({broken(), problem(503, "queue_full", true), json(201, placed), json(201, placed),
                 json(201, placed)});
    CHECK(bench.client.place_order({}).order.id == "order_1");
    static_cast<void>(bench.client.place_order({}));
    static_cast<void>(bench.client.place_order({}, {.idempotency_key = "mine", .stop = {}}));
    const auto sent = bench.server.requests();
    REQUIRE(sent.size() == 5);
    const std::string key = sent[0].header("Idempotency-Key");
    CHECK(key.size() == 32);
    CHECK(sent[1].header("Idempotency-Key") == key);
    CHECK(sent[2].header("Idempotency-Key") == key);
    CHECK(sent[1].body == sent[0].body);
    CHECK(sent[3].header("Idempotency-Key") != key);
    CHECK(sent[4].header("Idempotency-Key") == "mine");
}

TEST_CASE("a PATCH and a DELETE are repeated only when the server cannot have acted") {
    SECTION("the connection broke: it may have") {
        Bench bench({broken(), broken()});
        CHECK_THROWS_AS(bench.client.update_listing("listing_1", 4, {}), TransportError);
        CHECK_THROWS_AS(bench.client.revoke_key("key_1"), TransportError);
        CHECK(bench.server.requests().size() == 2);
    }
    SECTION("the connection had served before: the transport does not repeat them either") {
        Bench bench({json(200, account_json), broken()});
        static_cast<void>(bench.client.account());
        CHECK_THROWS_AS(bench.client.update_listing("listing_1", 4, {}), TransportError);
        CHECK(bench.server.requests().size() == 2);
    }
    SECTION("the queue was full: it has not") {
        Bench bench({problem(503, "queue_full", true), reply(204, "")});
        bench.client.revoke_key("key_1");
        CHECK(lines_of(bench.server) ==
              std::vector<std::string>{"DELETE /v1/keys/key_1 HTTP/1.1", "DELETE /v1/keys/key_1 HTTP/1.1"});
    }
    SECTION("the version goes along") {
        Bench bench({problem(412, "precondition_failed", false)});
        ListingChange change;
        change.state = "paused";
        CHECK_THROWS_AS(bench.client.update_listing("listing_1", 4, change), ApiError);
        CHECK(bench.server.requests().at(0).header("If-Match") == "\"4\"");
        CHECK(bench.server.requests().at(0).body == R"({"state":"paused"})");
    }
}

TEST_CASE("an order's body holds what was set, and nothing else") {
    Bench bench({problem(422, "invalid_field", false)});
    NewOrder order;
    order.requirements.products = {"H100"};
    order.requirements.vram_bytes_min = 1'024;
    order.price_max_micros_per_hour = 2'500'000;
    order.term_ms = 60'000;
    order.job = JobSpec{};
    order.job->image = "busybox";
    order.job->command = {"echo", "a b"};
    order.job->env = {{"A", "1"}};
    order.job->max_duration_ms = 1'000;
    CHECK_THROWS_AS(bench.client.place_order(order), ApiError);
    CHECK(bench.server.requests().at(0).body ==
          R"({"requirements":{"products":["H100"],"vram_bytes_min":1024},)"
          R"("price_max_micros_per_hour":2500000,)"
          R"("term_ms":60000,"job":{"image":"busybox","command":["echo","a b"],"env":{"A":"1"},)"
          R"("max_duration_ms":1000}})");
}

TEST_CASE("ids and queries cannot become another path") {
    Bench bench({json(200, order_json), json(200, R"({"items":[],"next_cursor":null})")});
    static_cast<void>(bench.client.order("a/../b?c"));
    ListingQuery query;
    query.product = "RTX 4090 & more";
    query.vram_bytes_min = 5;
    static_cast<void>(bench.client.listings(query, {.limit = 10, .cursor = "c="}));
    CHECK(lines_of(bench.server) ==
          std::vector<std::string>{
              "GET /v1/orders/a%2F..%2Fb%3Fc HTTP/1.1",
              "GET /v1/listings?product=RTX%204090%20%26%20more&vram_bytes_min=5&limit=10&cursor=c%3D "
              "HTTP/1.1"});
    CHECK_THROWS_AS(bench.client.order(""), std::invalid_argument);
    CHECK_THROWS_AS(bench.client.order(".."), std::invalid_argument);
}

TEST_CASE("a reply that breaks the contract is named") {
    struct Row {
        std::string body;
        std::string message;
    };
    const auto row = GENERATE(values<Row>({
        {"not json", "the reply is not JSON"},
        {"[]", "the reply's body is not an object"},
        {R"({"available_micros":5})", "the reply lacks the field held_micros"},
        {R"({"available_micros":"5"})", "the reply's available_micros is not a 64-bit integer"},
        {R"({"available_micros":9223372036854775808})",
         "the reply's available_micros is not a 64-bit integer"},
        {R"({"available_micros":1.0})", "the reply's available_micros is not a 64-bit integer"},
    }));
    Bench bench({json(200, row.body)});
    CHECK_THROWS_WITH(bench.client.account(), row.message);
}

TEST_CASE("events are followed across disconnections, from where they were left") {
    const auto event = [](std::string_view id) {
        return "id: " + std::string(id) + "\nevent: lease.running\ndata: {\"id\":\"" + std::string(id) +
               R"(","type":"lease.running","at":"t","actor":"org_1","reason":null,)"
               R"("object":{"kind":"lease","id":"l"},)"
               R"("data":{"x":1}})"
               "\n\n";
    };
    Bench bench({event_stream(": hello\n\n" + event("1-1-0")), broken(), problem(503, "draining", true),
                 event_stream("retry: 3000\n" + event("1-2-0") + "id: lost\ndata: {"),
                 event_stream(event("1-3-0") + event("1-4-0"))});
    std::vector<std::string> seen;
    bench.client.follow_events("1-0-0", [&](const Event& item) {
        seen.push_back(item.id + " " + item.data.text);
        return item.id != "1-3-0";
    });
    CHECK(seen == std::vector<std::string>{R"(1-1-0 {"x":1})", R"(1-2-0 {"x":1})", R"(1-3-0 {"x":1})"});
    std::vector<std::string> resumed;
    for (const auto& request : bench.server.requests()) {
        CHECK(request.header("Accept") == "text/event-stream");
        resumed.push_back(request.header("Last-Event-ID"));
    }
    CHECK(resumed == std::vector<std::string>{"1-0-0", "1-1-0", "1-1-0", "1-1-0", "1-2-0"});
    CHECK(bench.environment.pauses.back() >= 3'000);
}

TEST_CASE("a stream that is refused or is no stream ends with an error") {
    SECTION("refused") {
        Bench bench({problem(403, "scope_missing", false)});
        CHECK_THROWS_AS(bench.client.follow_events({}, [](const Event&) { return true; }), ApiError);
    }
    SECTION("no stream") {
        Bench bench({json(200, R"({"items":[],"next_cursor":null})")});
        CHECK_THROWS_AS(bench.client.follow_events({}, [](const Event&) { return true; }), ProtocolError);
    }
    SECTION("a server that never says anything") {
        Bench bench(std::vector<ScriptedReply>(20, event_stream("")));
        CHECK_THROWS_AS(bench.client.follow_events({}, [](const Event&) { return true; }), TransportError);
        CHECK(bench.server.requests().size() == 6);
    }
    SECTION("a stop while waiting") {
        Bench bench(std::vector<ScriptedReply>(20, broken()));
        std::stop_source source;
        bench.environment.on_pause = [&] { source.request_stop(); };
        bench.client.follow_events(
            {}, [](const Event&) { return true; }, source.get_token());
        CHECK(bench.server.requests().size() == 1);
    }
}

TEST_CASE("a log is followed to its end") {
    Bench bench({event_stream("id: 0\nevent: log\ndata: "
                              "{\"sequence\":0,\"stream\":\"stdout\",\"at\":\"t\",\"data\":\"aGk=\"}\n\n"),
                 event_stream("id: 4\nevent: log\ndata: "
                              "{\"sequence\":4,\"stream\":\"stderr\",\"at\":\"t\",\"data\":\"eW8=\"}\n\n"
                              "event: end\ndata: "
                              "{\"state\":\"failed\",\"exit_code\":3,\"reason\":\"command_failed\"}\n\n")});
    std::string text;
    const auto end = bench.client.follow_job_logs("job_1", {.attempt = 2, .after_sequence = {}},
                                                  [&](const LogEntry& entry) {
                                                      text += entry.stream + ":" + log_octets(entry) + " ";
                                                      return true;
                                                  });
    CHECK(text == "stdout:hi stderr:yo ");
    REQUIRE(end);
    CHECK(end->state == "failed");
    CHECK(end->exit_code == 3);
    CHECK(end->reason == "command_failed");
    CHECK(lines_of(bench.server) ==
          std::vector<std::string>{"GET /v1/jobs/job_1/logs?attempt=2 HTTP/1.1",
                                   "GET /v1/jobs/job_1/logs?attempt=2&after=0 HTTP/1.1"});
}

TEST_CASE("readiness is asked once, and may be no") {
    Bench bench({problem(503, "not_leader", true), json(200, R"({"status":"ready"})")});
    CHECK_FALSE(bench.client.is_ready());
    CHECK(bench.client.is_ready());
}

TEST_CASE("a link to a web server in a job is asked for by its port") {
    Bench bench({json(200, R"({"url":"https://x/","expires_at":"2026-01-01T00:00:00.000Z"})")});
    const AppLink link = bench.client.app_link("job_1", 8888);
    CHECK((link.url == "https://x/" && link.expires_at == "2026-01-01T00:00:00.000Z"));
    const auto sent = bench.server.requests();
    REQUIRE(sent.size() == 1);
    CHECK(sent[0].body == R"({"port":8888})");
    CHECK(sent[0].header("Idempotency-Key").size() == 32);
}

}  // namespace
}  // namespace fallow::sdk

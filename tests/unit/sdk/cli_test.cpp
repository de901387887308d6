// The command line as a program: its arguments, streams and exit codes, against a server that plays a
// script.
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "fallow/digest.hpp"
#include "fallow/json.hpp"
#include "fallow/types.hpp"
#include "unit/sdk/cli_bench.hpp"
#include "unit/sdk/receipt_fixture.hpp"

namespace fallow::sdk {
namespace {

using testing::Bench;
using testing::closed_url;
using testing::event_stream;
using testing::json;
using testing::Outcome;
using testing::page;
using testing::problem;
using testing::read_file;
using testing::reply;
using testing::run;
using testing::ScriptedReply;
using testing::TemporaryFolder;
using testing::Words;

TEST_CASE("a command line that is wrong is refused before anything is sent") {
    const auto arguments = GENERATE(values<Words>({
        {},
        {"nonsense"},
        {"host"},
        {"host", "show"},
        {"host", "list", "--limit", "0"},
        {"host", "list", "--all", "--limit", "5"},
        {"host", "list", "-o", "xml"},
        {"host", "list", "surplus"},
        {"listing", "create", "--host", "host_1", "--card", "card_1"},
        {"listing", "create", "--host", "host_1", "--ask", "2.50"},
        {"listing", "create", "--host", "host_1", "--card", "card_1", "--ask", "2,50"},
        {"listing", "create", "--host", "host_1", "--card", "card_1", "--ask", "0.0000001"},
        {"listing", "create", "--host", "host_1", "--card", "card_1", "--ask", "1", "--notice", "5"},
        {"listing", "update", "listing_1"},
        {"listing", "list", "--vram", "80G"},
        {"order", "place", "--price-max", "1"},
        {"job", "run", "--price-max", "1", "--term", "1h"},
        {"job", "run", "--image", "x"},
        {"job", "run", "--image", "x", "--lease", "lease_1"},
        {"job", "run", "--image", "x", "--price-max", "1", "--term", "1h", "--env", "=1"},
        {"job", "run", "--image", "x", "--price-max", "1", "--term", "1h", "--cpus", "many"},
        {"admin", "withdraw", "--organization", "o", "--amount", "1", "--reference", "r", "--account",
         "held"},
        {"admin", "fee", "set", "lots"},
        {"receipt", "verify", "file"},
        {"events", "--after", "1-1-0"},
    }));
    CAPTURE(arguments);
    Bench bench;
    const Outcome outcome = bench(arguments);
    CHECK(outcome.code == 2);
    CHECK(outcome.out.empty());
    CHECK_FALSE(outcome.err.empty());
    CHECK(bench.server.requests().empty());
}

TEST_CASE("help and version go to stdout and are no failure") {
    const auto arguments = GENERATE(values<Words>({{"--help"}, {"--version"}, {"job", "run", "--help"}}));
    Bench bench;
    const Outcome outcome = bench(arguments);
    CHECK(outcome.code == 0);
    CHECK_FALSE(outcome.out.empty());
    CHECK(outcome.err.empty());
}

struct SentRow {
    Words arguments;
    std::string request;
};

TEST_CASE("what is typed in human units is sent in those of the contract") {
    const auto row = GENERATE(values<SentRow>({
        {{"host", "token", "--name", "n", "--country", "DE"},
         R"(POST /v1/enrollment-tokens {"name":"n","country":"DE"})"},
        {{"host", "list", "--limit", "5"}, "GET /v1/hosts?limit=5"},
        {{"host", "cards", "host_1"}, "GET /v1/hosts/host_1/cards?limit=100"},
        {{"host", "drain", "host_1"}, "POST /v1/hosts/host_1/drain {}"},
        {{"host", "maintenance", "add", "host_1", "--from", "2026-12-01T18:00:00.000Z", "--until",
          "2026-12-01T20:00:00.000Z", "--reason", "a new fan"},
         R"(POST /v1/hosts/host_1/maintenance {"from":"2026-12-01T18:00:00.000Z",)"
         R"("until":"2026-12-01T20:00:00.000Z","reason":"a new fan"})"},
        {{"host", "maintenance", "remove", "host_1"}, "DELETE /v1/hosts/host_1/maintenance"},
        {{"host", "failed-starts", "host_1"}, "GET /v1/hosts/host_1/failed-starts"},
        {{"listing",    "create", "--host",    "host_1", "--card",       "card_1", "--card",     "card_2",
          "--ask",      "2.50",   "--storage", "0.07",   "--egress",     "0.02",   "--term-min", "1m",
          "--term-max", "30d",    "--notice",  "0s",     "--bundle-min", "2"},
         R"(POST /v1/listings {"host_id":"host_1","card_ids":["card_1","card_2"],)"
         R"("ask_micros_per_hour":2500000,"storage_micros_per_gib_month":70000,)"
         R"("egress_micros_per_gib":20000,)"
         R"("term_min_ms":60000,"term_max_ms":2592000000,"reclaim_notice_ms":0,"bundle_min":2})"},
        {{"listing", "list", "--vram", "80GiB", "--price-max", "2.10", "--country", "DE"},
         "GET "
         "/v1/listings?vram_bytes_min=85899345920&country=DE&price_max_micros_per_hour=2100000&limit=100"},
        {{"listing", "update", "listing_1", "--ask", "1.25", "--version", "7"},
         R"(PATCH /v1/listings/listing_1 {"ask_micros_per_hour":1250000})"},
        {{"listing", "update", "listing_1", "--spot-floor", "0.40", "--version", "7"},
         R"(PATCH /v1/listings/listing_1 {"spot_floor_micros_per_hour":400000})"},
        {{"listing", "update", "listing_1", "--no-spot", "--version", "7"},
         R"(PATCH /v1/listings/listing_1 {"no_spot":true})"},
        {{"listing", "update", "listing_1", "--share-min", "0.25", "--version", "7"},
         R"(PATCH /v1/listings/listing_1 {"share_min_thousandths":250})"},
        {{"listing", "update", "listing_1", "--window", "fri 18:00-mon 08:00", "--clear", "images",
          "--version", "7"},
         R"(PATCH /v1/listings/listing_1 {"windows":["fri 18:00-mon 08:00"],"images_allowed":[]})"},
        {{"listing", "change", "--where", "vram >= 80GiB", "--ask", "2"},
         R"(POST /v1/listing-changes {"filter":{"query":"vram >= 80GiB"},)"
         R"("change":{"ask_micros_per_hour":2000000},)"
         R"("dry_run":false})"},
        {{"listing", "change", "--product", "H100", "--ask", "2", "--dry-run"},
         R"(POST /v1/listing-changes {"filter":{"product":"H100"},"change":{"ask_micros_per_hour":2000000},)"
         R"("dry_run":true})"},
        {{"order", "place", "--price-max", "3", "--term", "2h", "--count", "8", "--hosts", "4"},
         R"(POST /v1/orders {"requirements":{},"count":8,"hosts":4,"price_max_micros_per_hour":3000000,)"
         R"("term_ms":7200000,"fill_or_kill":false})"},
        {{"order", "place", "--price-max", "3", "--term", "2h", "--share", "0.125"},
         R"(POST /v1/orders {"requirements":{},"thousandths":125,"price_max_micros_per_hour":3000000,)"
         R"("term_ms":7200000,"fill_or_kill":false})"},
        {{"listing", "withdraw", "listing_1"}, "POST /v1/listings/listing_1/withdraw {}"},
        {{"order", "place", "--price-max", "3", "--term", "2h", "--count", "2", "--product", "H100",
          "--product", "H200", "--vram", "80GiB", "--not-country", "US", "--fill-or-kill", "--expires-in",
          "10m"},
         R"(POST /v1/orders {"requirements":{"products":["H100","H200"],"vram_bytes_min":85899345920,)"
         R"("countries_excluded":["US"]},"count":2,"price_max_micros_per_hour":3000000,"term_ms":7200000,)"
         R"("fill_or_kill":true,"expires_in_ms":600000})"},
        {{"order", "place", "--spot", "--price-max", "1.20", "--term", "2h"},
         R"(POST /v1/orders {"requirements":{},"pricing":"spot","price_max_micros_per_hour":1200000,)"
         R"("term_ms":7200000,"fill_or_kill":false})"},
        {{"order", "place", "--price-max", "3", "--term", "2h", "--egress", "10", "--egress-price-max",
          "0.02", "--overage", "1.5"},
         R"(POST /v1/orders {"requirements":{},"price_max_micros_per_hour":3000000,"egress_gib":10,)"
         R"("overage_micros_max":1500000,"egress_micros_per_gib_max":20000,"term_ms":7200000,)"
         R"("fill_or_kill":false})"},
        {{"quote", "make", "--term", "2h", "--moved", "7", "--egress-price-max", "0.02"},
         R"(POST /v1/quotes {"requirements":{},"egress_micros_per_gib_max":20000,"term_ms":7200000,)"
         R"("moved_gib":7})"},
        {{"order", "bid", "order_1", "--price", "1.40"},
         R"(POST /v1/orders/order_1/bid {"price_micros_per_hour":1400000})"},
        {{"spot", "price"}, "GET /v1/spot/pools?limit=100"},
        {{"spot", "price", "tesla-t4-15gib"}, "GET /v1/spot/pools/tesla-t4-15gib"},
        {{"spot", "history", "tesla-t4-15gib", "--limit", "5"},
         "GET /v1/spot/pools/tesla-t4-15gib/history?limit=5"},
        {{"quote", "make", "--term", "2h", "--count", "2", "--product", "H100", "--stored", "100",
          "--moved", "7"},
         R"(POST /v1/quotes {"requirements":{"products":["H100"]},"count":2,"term_ms":7200000,)"
         R"("stored_gib":100,"moved_gib":7})"},
        {{"reservation", "book", "--price-max", "2", "--term", "10h", "--count", "2", "--start",
          "2099-01-02T08:00:00.000Z"},
         R"(POST /v1/reservations {"requirements":{},"count":2,"price_max_micros_per_hour":2000000,)"
         R"("term_ms":36000000,"starts_at":"2099-01-02T08:00:00.000Z"})"},
        {{"reservation", "list"}, "GET /v1/reservations?limit=100"},
        {{"reservation", "offers"}, "GET /v1/reservations?offered=true&limit=100"},
        {{"reservation", "show", "reservation_1"}, "GET /v1/reservations/reservation_1"},
        {{"reservation", "cancel", "reservation_1"}, "POST /v1/reservations/reservation_1/cancel {}"},
        {{"reservation", "cancel", "reservation_1", "--breach"},
         R"(POST /v1/reservations/reservation_1/cancel {"breach":true})"},
        {{"reservation", "offer", "reservation_1", "--price", "1.50", "--from", "2099-01-02T12:00:00.000Z"},
         R"(POST /v1/reservations/reservation_1/offer {"price_micros":1500000,)"
         R"("from":"2099-01-02T12:00:00.000Z"})"},
        {{"reservation", "offer", "reservation_1", "--end"},
         "POST /v1/reservations/reservation_1/offer {}"},
        {{"reservation", "buy", "reservation_1", "--price-max", "1.50"},
         R"(POST /v1/reservations/reservation_1/buy {"price_max_micros":1500000})"},
        {{"lease", "reclaim", "lease_1", "--breach"}, R"(POST /v1/leases/lease_1/reclaim {"breach":true})"},
        {{"lease", "end", "lease_1"}, "POST /v1/leases/lease_1/end {}"},
        {{"lease", "reclaim", "lease_1"}, "POST /v1/leases/lease_1/reclaim {}"},
        {{"lease", "usage", "lease_1"}, "GET /v1/leases/lease_1/usage?limit=100"},
        {{"job",      "run",      "--lease", "lease_1", "--image", "busybox", "--max-duration",
          "5m",       "--memory", "2GiB",    "--cpus",  "1.5",     "--env",   "A=b=c",
          "--output", "out.txt",  "--",      "sh",      "-c",      "--help"},
         R"(POST /v1/leases/lease_1/job {"image":"busybox","command":["sh","-c","--help"],)"
         R"("env":{"A":"b=c"},)"
         R"("outputs":["out.txt"],"max_duration_ms":300000,"memory_bytes":2147483648,"cpu_millis":1500})"},
        {{"job", "cancel", "job_1"}, "POST /v1/jobs/job_1/cancel {}"},
        {{"job", "logs", "job_1", "--attempt", "2", "--after", "5"},
         "GET /v1/jobs/job_1/logs?attempt=2&after=5&limit=100"},
        {{"account", "transfers"}, "GET /v1/account/transfers?limit=100"},
        {{"key", "create", "--name", "n", "--scope", "renter:read", "--scope", "renter:write",
          "--expires-in", "30d"},
         R"(POST /v1/keys {"name":"n","scopes":["renter:read","renter:write"],)"
         R"("expires_in_ms":2592000000})"},
        {{"key", "revoke", "key_1"}, "DELETE /v1/keys/key_1"},
        {{"key", "rotate", "key_1"}, "POST /v1/keys/key_1/rotate {}"},
        {{"admin", "org", "create", "--name", "n", "--country", "DE"},
         R"(POST /v1/admin/organizations {"name":"n","country":"DE"})"},
        {{"admin", "key", "create", "--organization", "org_1", "--name", "n", "--scope", "admin"},
         R"(POST /v1/admin/organizations/org_1/keys {"name":"n","scopes":["admin"]})"},
        {{"admin", "deposit", "--organization", "org_1", "--amount", "100", "--reference", "r"},
         R"(POST /v1/admin/deposits {"organization_id":"org_1","amount_micros":100000000,)"
         R"("reference":"r"})"},
        {{"admin", "withdraw", "--organization", "org_1", "--amount", "0.01", "--reference", "r",
          "--account", "earned"},
         R"(POST /v1/admin/withdrawals {"organization_id":"org_1","account":"earned",)"
         R"("amount_micros":10000,"reference":"r"})"},
        {{"admin", "fee", "set", "2.5"}, R"(PUT /v1/admin/fee {"fee_ppm":25000})"},
        {{"admin", "spot", "set", "--step", "0.02"},
         R"(PUT /v1/admin/spot {"step_micros_per_hour":20000})"},
        {{"admin", "scheduler"}, "GET /v1/admin/scheduler"},
        {{"admin", "freeze", "create", "--kind", "host", "--target", "host_1", "--note", "n"},
         R"(POST /v1/admin/freezes {"kind":"host","target":"host_1","note":"n"})"},
        {{"admin", "freeze", "remove", "freeze_1"}, "DELETE /v1/admin/freezes/freeze_1"},
        {{"admin", "audit", "--all"}, "GET /v1/admin/audit?limit=100"},
        {{"admin", "policy", "test", "--model", "a30", "--host-country", "DE", "--renter-country", "CN",
          "--end-use", "ai_training"},
         "GET /v1/admin/policy/test?model=a30&host_country=DE&renter_country=CN&end_use=ai_training"},
        {{"admin", "approval", "create", "--organization", "org_1", "--model", "a30", "--note", "n"},
         R"(POST /v1/admin/approvals {"organization_id":"org_1","model":"a30","note":"n"})"},
        {{"admin", "approval", "remove", "approval_1"}, "DELETE /v1/admin/approvals/approval_1"},
        {{"admin", "order", "approve", "order_1"}, "POST /v1/admin/orders/order_1/approve {}"},
        {{"policy", "show"}, "GET /v1/policy"},
        {{"catalog", "list", "--maker", "amd"}, "GET /v1/catalog?maker=amd&limit=100"},
        {{"catalog", "show", "a30"}, "GET /v1/catalog/a30"},
        {{"market", "prices"}, "GET /v1/market/prices?limit=100"},
        {{"market", "trades", "rtx-4090d", "--vram", "47GiB", "--limit", "5"},
         "GET /v1/market/prices/rtx-4090d/trades?vram_gib=47&limit=5"},
        {{"market", "outlook", "--model", "rtx-4090d", "--vram", "48GiB", "--resale", "6000",
          "--power-price", "0.20", "--watts", "390", "--history", "30d"},
         "GET /v1/market/prices/rtx-4090d/outlook?vram_gib=48&history_ms=2592000000&watts=390&"
         "power_price_micros_per_kwh=200000&resale_micros=6000000000"},
        {{"events"}, "GET /v1/events?limit=100"},
    }));
    CAPTURE(row.arguments);
    Bench bench({problem(409, "wrong_state", false)});
    const Outcome outcome = bench(row.arguments);
    CHECK(outcome.code == 1);
    CHECK(outcome.out.empty());
    CHECK(outcome.err == "fallow: wrong_state: D (/count)\nrequest req_1\n");
    CHECK(bench.sent(0) == row.request);
    CHECK(bench.server.requests().at(0).header("Authorization") == "Bearer secret-key");
}

Lease a_lease(const std::string& id) {
    Lease lease;
    lease.id = id;
    lease.state = "running";
    lease.price_micros_per_hour = 2'500'000;
    lease.running_ms = 5'400'000;
    lease.charged_micros = 3'750'000;
    lease.allocated_at = "2026-01-02T03:04:05.678Z";
    lease.role = "renter";
    return lease;
}

TEST_CASE("a list is a table for people and an array for programs") {
    const std::string first = page({to_json(a_lease("lease_1"))}, R"("c1")");
    const std::string last = page({to_json(a_lease("lease_2"))});
    Bench bench(
        {json(200, first), json(200, last), json(200, first), json(200, last), json(200, page({}))});
    const Outcome table = bench({"lease", "list"});
    CHECK(table.code == 0);
    CHECK(table.err.empty());
    CHECK(table.out ==
          "ID       ROLE    STATE    END REASON  PRICE/H  RUNNING  CHARGED  ALLOCATED\n"
          "lease_1  renter  running  -           $2.50    1h 30m   $3.75    2026-01-02T03:04:05.678Z\n"
          "lease_2  renter  running  -           $2.50    1h 30m   $3.75    2026-01-02T03:04:05.678Z\n");
    CHECK(bench.sent(1) == "GET /v1/leases?limit=100&cursor=c1");
    const Outcome array = bench({"-o", "json", "lease", "list"});
    CHECK(page_from_json<Lease>(R"({"items":)" + array.out + "}").items.size() == 2);
    CHECK(bench({"lease", "list", "-o", "json"}).out == "[]\n");
}

TEST_CASE("prices are drawn, with a gap where nothing was traded") {
    CardModel model;
    model.model = "h100-sxm";
    PriceHistory history;
    history.model = model.model;
    history.vram_gib = 80;
    history.span = "hour";
    history.history_ms = 14'400'000;
    history.close_micros_per_hour = 3'000'000;
    history.depth = {{2'500'000, 2000, 1}};
    for (const auto& [hour, micros] : {std::pair{"01", 1'000'000}, {"02", 2'000'000}, {"04", 3'000'000}}) {
        PriceCandle candle;
        candle.start_at = std::string("2026-02-28T") + hour + ":00:00.000Z";
        candle.weighted_micros_per_hour = micros;
        candle.thousandths = 1000;
        history.candles.push_back(candle);
    }
    Bench bench({json(200, page({to_json(model)})), json(200, to_json(history))});
    const Outcome drawn = bench({"market", "price", "h100", "--history", "4h"});
    CHECK(drawn.code == 0);
    CHECK(bench.sent(1) == "GET /v1/market/prices/h100-sxm?span=hour&history_ms=14400000");
    CHECK(drawn.out.find("price/h      ▁▄ █ $1.00 to $3.00\n") != std::string::npos);
    CHECK(drawn.out.find("cards        ██ █ 0 to 1\n") != std::string::npos);
    CHECK(drawn.out.find("$2.50        2 in 1 listing\n") != std::string::npos);
}

TEST_CASE("a limited list says when there is more") {
    const std::string first = page({to_json(a_lease("lease_1")), to_json(a_lease("lease_2"))});
    Bench bench({json(200, first), json(200, first)});
    const Outcome one = bench({"lease", "list", "--limit", "1"});
    CHECK(one.out.find("lease_2") == std::string::npos);
    CHECK(one.err == "there are more than 1; --all shows them\n");
    CHECK(bench({"lease", "list", "--limit", "2"}).err.empty());
}

TEST_CASE("an object is lines for people and one document for programs") {
    const std::string account =
        R"({"available_micros":1234500,"held_micros":0,"earned_micros":-1,"currency":"USD"})";
    Bench bench({json(200, account), json(200, account)});
    CHECK(bench({"account", "show"}).out ==
          "available        $1.2345\nheld for leases  $0.00\nearned           -$0.000001\n");
    CHECK(from_json<Account>(bench({"account", "show", "-o", "json"}).out).available_micros == 1'234'500);
}

TEST_CASE("text of others cannot command the terminal") {
    Lease lease = a_lease("lease_1");
    lease.state = "\x1b[2Jx\xC2\x9By\n\xC3\xA9";
    Bench bench({json(200, page({to_json(lease)}))});
    const Outcome outcome = bench({"lease", "list"});
    CHECK(outcome.out.find("?[2Jx?y?\xC3\xA9") != std::string::npos);
    CHECK(outcome.out.find('\x1b') == std::string::npos);
}

TEST_CASE("a server that cannot be reached has its own exit code") {
    const TemporaryFolder folder;
    const Outcome outcome = run(folder, {"server", "show", "--url", closed_url()}, {});
    CHECK(outcome.code == 4);
    CHECK(outcome.out.empty());
    CHECK(outcome.err.find("cannot be reached") != std::string::npos);
}

TEST_CASE("settings that are missing or wrong are usage errors") {
    const TemporaryFolder folder;
    CHECK(run(folder, {"host", "list"}, {}).code == 2);
    CHECK(run(folder, {"host", "list"}, {"FALLOW_URL=" + closed_url()}).code == 2);
    CHECK(run(folder, {"host", "list"}, {"FALLOW_URL=ftp://x", "FALLOW_API_KEY=k"}).code == 2);
    CHECK(run(folder, {"host", "list"}, {"FALLOW_URL=http://example.com", "FALLOW_API_KEY=k"}).code == 2);
}

TEST_CASE("traffic has a price limit or a quote") {
    const TemporaryFolder folder;
    const std::vector<std::string> settings = {"FALLOW_URL=" + closed_url(), "FALLOW_API_KEY=k"};
    const Outcome outcome =
        run(folder, {"order", "place", "--price-max", "3", "--term", "2h", "--egress", "1"}, settings);
    CHECK(outcome.code == 2);
    CHECK(outcome.err.find("--egress needs --egress-price-max or --quote") != std::string::npos);
    CHECK(run(folder,
              {"reservation", "book", "--price-max", "2", "--term", "10h", "--start",
               "2099-01-02T08:00:00.000Z", "--egress-price-max", "1"},
              settings)
              .code == 2);
}

TEST_CASE("a lease shows what it has sent and what that has cost") {
    Lease lease = a_lease("lease_1");
    lease.egress_mib = 3000;
    lease.egress_mib_max = 10'240;
    lease.egress_micros = 58'593;
    Bench bench({json(200, to_json(lease)), json(200, to_json(a_lease("lease_2")))});
    const Outcome shown = bench({"lease", "show", "lease_1"});
    CHECK(shown.out.find("3000 of 10240 MiB\n") != std::string::npos);
    CHECK(shown.out.find("$0.058593\n") != std::string::npos);
    CHECK(bench({"lease", "show", "lease_2"}).out.find("0 MiB, without a limit\n") != std::string::npos);
}

TEST_CASE("the key comes from a file, which should be private") {
    Bench bench({json(200, page({})), json(200, page({}))});
    const auto file = bench.folder.write("key", "file-key\n");
    std::filesystem::permissions(file, std::filesystem::perms(0600));
    const Outcome quiet = bench({"host", "list", "--key-file", file.string()});
    CHECK(quiet.code == 0);
    CHECK(quiet.err.empty());
    CHECK(bench.server.requests().at(0).header("Authorization") == "Bearer file-key");
    std::filesystem::permissions(file, std::filesystem::perms(0644));
    CHECK(bench({"host", "list", "--key-file", file.string()}).err.find("others on this machine") !=
          std::string::npos);
}

TEST_CASE("a secret is printed alone, or kept in a file") {
    const std::string made =
        R"({"key":{"id":"key_1","organization_id":"org_1","name":"n","prefix":"fallow_ab",)"
        R"("scopes":["renter:read"],)"
        R"("created_at":"t","expires_at":"t","revoked_at":null},"secret":"fallow_S3CRET"})";
    Bench bench({json(201, made), json(201, made), json(201, made)});
    const Words arguments = {"key", "create", "--name", "n", "--scope", "renter:read"};
    const Outcome shown = bench(arguments);
    CHECK(shown.out == "fallow_S3CRET\n");
    CHECK(shown.err.find("S3CRET") == std::string::npos);
    for (const std::string format : {"table", "json"}) {
        Words kept_arguments = arguments;
        const std::string file = (bench.folder.path() / ("key." + format)).string();
        kept_arguments.insert(kept_arguments.end(), {"--out", file, "-o", format});
        const Outcome kept = bench(kept_arguments);
        CHECK(kept.code == 0);
        CHECK((kept.out + kept.err).find("S3CRET") == std::string::npos);
        CHECK(read_file(file) == "fallow_S3CRET\n");
        struct stat status {};
        REQUIRE(::stat(file.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0600);
    }
}

TEST_CASE("an Idempotency-Key may be given") {
    Bench bench({problem(409, "wrong_state", false)});
    static_cast<void>(bench({"lease", "end", "lease_1", "--idempotency-key", "once"}));
    CHECK(bench.server.requests().at(0).header("Idempotency-Key") == "once");
}

TEST_CASE("pausing a listing goes from the version it has") {
    Listing listing;
    listing.id = "listing_1";
    listing.version = 7;
    Bench bench({json(200, to_json(listing)), json(200, to_json(listing))});
    CHECK(bench({"listing", "pause", "listing_1"}).code == 0);
    CHECK(bench.sent(1) == R"(PATCH /v1/listings/listing_1 {"state":"paused"})");
    CHECK(bench.server.requests().at(1).header("If-Match") == "\"7\"");
}

TEST_CASE("a listing is shown as renters meet it") {
    Listing listing;
    listing.id = "listing_1";
    listing.state = "open";
    const auto state = [&] {
        Bench bench({json(200, to_json(listing))});
        const std::string out = bench({"listing", "show", "listing_1"}).out;
        const std::size_t at = out.find("state");
        return out.substr(at, out.find('\n', at) - at);
    };
    CHECK(state().ends_with(" open"));
    listing.paused_by = "cards";
    CHECK(state().ends_with(" paused by its cards"));
}

TEST_CASE("a ledger that does not balance is a failure") {
    Bench bench({json(200, R"({"accounts":2,"transfers":1,"sum_micros":1,"balanced":false,"by_kind":[],)"
                           R"("mismatched_accounts":["account_1"]})")});
    const Outcome outcome = bench({"admin", "ledger"});
    CHECK(outcome.code == 1);
    CHECK(outcome.out.find("balanced             no") != std::string::npos);
}

TEST_CASE("a receipt is verified without a server and without settings") {
    const TemporaryFolder folder;
    const testing::SigningKey server;
    const testing::SigningKey host;
    const testing::ReceiptTexts texts(server.public_base64(), host.public_base64());
    const std::string document = testing::receipt_json(texts, server, host);
    const std::string key = folder.write("server.pub", server.public_base64() + "\n").string();
    const std::string other_key = folder.write("host.pub", host.public_base64() + "\n").string();
    const std::string genuine = folder.write("genuine.json", document).string();
    const std::string forged =
        folder.write("forged.json", testing::replaced(document, "org_r", "org_x")).string();

    const Outcome passed = run(folder, {"receipt", "verify", "--server-key", key, genuine}, {});
    CHECK(passed.code == 0);
    CHECK(passed.out.find("FAIL") == std::string::npos);
    CHECK(passed.out.find("charged        $6.250002") != std::string::npos);
    CHECK(passed.err.empty());
    const Outcome failed = run(folder, {"receipt", "verify", "--server-key", key, forged}, {});
    CHECK(failed.code == 1);
    CHECK(failed.out.find("FAIL") != std::string::npos);
    CHECK(failed.out.find("charged ") == std::string::npos);
    CHECK(failed.err == "fallow: the receipt is NOT genuine\n");
    CHECK(run(folder, {"receipt", "verify", "--server-key", other_key, genuine, "-o", "json"}, {}).code ==
          1);
    CHECK(run(folder, {"receipt", "verify", "--server-key", key, folder.path() / "missing"}, {}).code == 1);
}

Job a_job(const std::string& state) {
    Job job;
    job.id = "job_1";
    job.state = state;
    job.image = "busybox";
    if (state == "failed") job.reason = "command_failed";
    if (state == "failed") job.exit_code = 3;
    return job;
}

Artifact an_artifact(const std::string& id, const std::string& content) {
    Artifact artifact;
    artifact.id = id;
    artifact.bytes = static_cast<std::int64_t>(content.size());
    artifact.sha256 = sha256_hex(content);
    return artifact;
}

/// The server's part of a job that is placed, runs and ends in `state`, and leaves the output `path`.
std::vector<ScriptedReply> run_script(const std::string& state, const std::string& path) {
    Placement placement;
    placement.order.id = "order_1";
    placement.order.state = "standing";
    placement.job = a_job("queued");
    JobOutput output{path, 1, an_artifact("artifact_2", "result")};
    JobOutput older{path, 0, an_artifact("artifact_0", "stale")};
    return {json(201, to_json(placement)),
            json(200, to_json(a_job("queued"))),
            event_stream("id: 0\nevent: log\ndata: "
                         "{\"sequence\":0,\"stream\":\"stdout\",\"at\":\"t\",\"data\":\"b3V0Cg==\"}\n\n"
                         "id: 1\nevent: log\ndata: "
                         "{\"sequence\":1,\"stream\":\"stderr\",\"at\":\"t\",\"data\":\"ZXJyCg==\"}\n\n"
                         "event: end\ndata: {\"state\":\"" +
                         state + "\",\"exit_code\":0,\"reason\":null}\n\n"),
            json(200, to_json(a_job(state))),
            json(200, page({to_json(output), to_json(older)})),
            reply(200, "result")};
}

const Words run_arguments = {"job", "run", "--price-max", "1", "--term", "1h", "--image", "busybox"};

TEST_CASE("a job is run from files to files") {
    const std::string uploaded = to_json(an_artifact("artifact_1", "input"));
    std::vector<ScriptedReply> script = run_script("succeeded", "sub/result.txt");
    script.insert(script.begin(), {json(201, uploaded), reply(204, ""), json(200, uploaded)});
    Bench bench(script);
    Words arguments = run_arguments;
    const std::string input = bench.folder.write("data.csv", "input").string();
    const std::string folder = (bench.folder.path() / "out").string();
    arguments.insert(arguments.end(), {"--input", input + ":a/b.csv", "--output", "sub/result.txt", "--to",
                                       folder, "--", "wc", "-l"});
    const Outcome outcome = bench(arguments);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    CHECK(outcome.out == "out\n");
    CHECK(outcome.err.find("err\n") != std::string::npos);
    CHECK(read_file(folder + "/sub/result.txt") == "result");
    CHECK(bench.sent(1) == "PUT /v1/artifacts/artifact_1/parts/0 input");
    CHECK(bench.sent(3) == R"(POST /v1/orders {"requirements":{},"price_max_micros_per_hour":1000000,)"
                           R"("term_ms":3600000,"fill_or_kill":false,)"
                           R"("job":{"image":"busybox","command":["wc","-l"],"inputs":[{"path":"a/b.csv",)"
                           R"("artifact_id":"artifact_1"}],)"
                           R"("outputs":["sub/result.txt"],"max_duration_ms":3600000}})");
    CHECK(bench.sent(8) == "GET /v1/artifacts/artifact_2/parts/0");
}

TEST_CASE("a job that failed is a failure, and leaves its outputs all the same") {
    Bench bench(run_script("failed", "result.txt"));
    Words arguments = run_arguments;
    arguments.insert(arguments.end(), {"--to", bench.folder.path().string()});
    const Outcome outcome = bench(arguments);
    CHECK(outcome.code == 1);
    CHECK(outcome.err.find("job_1 failed: command_failed (exit code 3)") != std::string::npos);
    CHECK(read_file(bench.folder.path() / "result.txt") == "result");
}

TEST_CASE("with JSON a job run prints one document, and its log on stderr") {
    Bench bench(run_script("succeeded", "result.txt"));
    Words arguments = run_arguments;
    arguments.insert(arguments.end(), {"-o", "json", "--to", bench.folder.path().string()});
    const Outcome outcome = bench(arguments);
    CHECK(outcome.code == 0);
    CHECK(from_json<Job>(outcome.out).state == "succeeded");
    CHECK(outcome.err.find("out\nerr\n") != std::string::npos);
}

TEST_CASE("a detached job is not waited for") {
    Bench bench(run_script("succeeded", "result.txt"));
    Words arguments = run_arguments;
    arguments.insert(arguments.end(), {"--detach", "-o", "json"});
    const Outcome outcome = bench(arguments);
    CHECK(outcome.code == 0);
    CHECK(from_json<Job>(outcome.out).id == "job_1");
    CHECK(bench.server.requests().size() == 1);
}

TEST_CASE("an output cannot be written outside of the folder") {
    const std::string path = GENERATE("../evil", "/tmp/fallow-evil");
    Bench bench({json(200, page({to_json(JobOutput{path, 1, an_artifact("artifact_2", "result")})})),
                 reply(200, "result")});
    const Outcome outcome = bench({"job", "download", "job_1", "--to", bench.folder.path().string()});
    CHECK(outcome.code == 1);
    CHECK(bench.server.requests().size() == 1);
}

TEST_CASE("outputs are listed and fetched by name") {
    const std::string outputs = page({to_json(JobOutput{"a.txt", 1, an_artifact("artifact_2", "result")}),
                                      to_json(JobOutput{"b.txt", 1, an_artifact("artifact_3", "other")})});
    Bench bench({json(200, outputs), reply(200, "other"), json(200, outputs)});
    const std::string folder = bench.folder.path().string();
    CHECK(bench({"job", "download", "job_1", "b.txt", "--to", folder}).out == folder + "/b.txt\n");
    CHECK(bench.sent(1) == "GET /v1/artifacts/artifact_3/parts/0");
    CHECK(bench({"job", "download", "job_1", "c.txt", "--to", folder}).code == 1);
}

}  // namespace
}  // namespace fallow::sdk

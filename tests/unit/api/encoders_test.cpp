// Objects as the API shows them, byte for byte.
#include <catch2/catch.hpp>

#include "api/accounts_json.hpp"
#include "api/market_json.hpp"
#include "api/outcomes.hpp"
#include "api/reply.hpp"

using namespace fallow;
using namespace fallow::api;

namespace {

template <class AnyId>
AnyId id(std::uint64_t n) {
    return AnyId(RawId{0, n});
}

market::Lease a_lease() {
    market::Lease lease;
    lease.id = id<LeaseId>(1);
    lease.order = id<OrderId>(2);
    lease.renter = id<OrganizationId>(3);
    lease.seller = id<OrganizationId>(4);
    lease.host = id<HostId>(5);
    lease.listing = id<ListingId>(6);
    lease.cards = {id<CardId>(7)};
    lease.state = market::LeaseState::running;
    lease.price = ledger::Price(2500000);
    lease.term = hours(1);
    lease.reclaim_notice = minutes(1);
    lease.epoch = 9;
    lease.allocated_at = Time(1000);
    lease.running_at = Time(2000);
    lease.held = ledger::Micros(77);
    lease.storage_bytes = 1 << 30;
    lease.storage_price = ledger::Micros(730'000);
    lease.egress_price = ledger::Micros(640'000);
    lease.egress_mib_max = 2048;
    lease.meter = ledger::advance({}, {ledger::Price(0), 1}, Millis(0), 0, {lease.egress_price, 32});
    lease.policy_version = 2;
    lease.policy_rule = "a-rule";
    lease.version = 3;
    return lease;
}

const std::string lease_text =
    R"({"id":"lease_00000000000000000000000001","role":"renter",)"
    R"("order_id":"order_00000000000000000000000002","rank":0,"hosts":1,)"
    R"("organization_id":"org_00000000000000000000000003","seller_id":"org_00000000000000000000000004",)"
    R"("host_id":"host_00000000000000000000000005",)"
    R"("listing_id":"listing_00000000000000000000000006",)"
    R"("job_id":null,"attempt":1,"card_ids":["card_00000000000000000000000007"],"state":"running",)"
    R"("stop_reason":null,"end_reason":null,"price_micros_per_hour":2500000,)"
    R"("spot_floor_micros_per_hour":null,"storage_bytes":1073741824,"storage_micros_per_gib_month":730000,)"
    R"("egress_micros_per_gib":640000,"egress_mib_max":2048,"egress_mib":32,"egress_micros":20000,)"
    R"("all_in_micros_per_hour":2501000,"thousandths":1000,"term_ms":3600000,)"
    R"("reclaim_notice_ms":60000,"epoch":9,"allocated_at":"1970-01-01T00:00:01.000Z","preparing_at":null,)"
    R"("running_at":"1970-01-01T00:00:02.000Z","ended_at":null,"phase_deadline":null,)"
    R"("reclaim_deadline":null,)"
    R"("paid_until":null,"running_ms":0,"charged_micros":20000,"fee_micros":0,"held_micros":77,)"
    R"("policy_version":2,"policy_rule":"a-rule","ends_by":null,"maintenance_at":null,"version":3})";

market::Order an_order() {
    market::Order order;
    order.id = id<OrderId>(2);
    order.organization = id<OrganizationId>(3);
    order.state = market::OrderState::filled;
    order.requirements.products = {"H100", "a \"b\"\n"};
    order.price_max = ledger::Price(5);
    order.term = hours(1);
    order.lease = id<LeaseId>(1);
    order.end_use = market::EndUse::rendering;
    order.storage_bytes = 1024;
    order.storage_price_max = ledger::Micros(9);
    order.hourly = ledger::Micros(6);
    order.egress_gib = 4;
    order.traffic_used = {5, ledger::Micros(6)};
    order.egress_price_max = ledger::Micros(7);
    order.overage_max = ledger::Micros(8);
    return order;
}

const std::string order_text =
    R"({"id":"order_00000000000000000000000002","organization_id":"org_00000000000000000000000003",)"
    R"("state":"filled","reason":null,"requirements":{"products":["H100","a \"b\"\n"],"device_class":null,)"
    R"("vram_bytes_min":null,"countries":[],"countries_excluded":[],"listing_id":null,"host_id":null,)"
    R"("query":null},)"
    R"("count":1,"thousandths":1000,"hosts":1,"nvlink":"prefer","pricing":"fixed",)"
    R"("price_max_micros_per_hour":5,"bid_changed_at":null,)"
    R"("promised_card_ids":[],"term_ms":3600000,"fill_or_kill":false,)"
    R"("placed_at":"1970-01-01T00:00:00.000Z","expires_at":"1970-01-01T00:00:00.000Z",)"
    R"("lease_id":"lease_00000000000000000000000001","job_id":null,"end_use":"rendering","approved":false,)"
    R"("policy_version":null,"policy_rule":null,"policy_effect":null,"quote_id":null,)"
    R"("storage_bytes":1024,"storage_micros_per_gib_month_max":9,)"
    R"("egress_gib":4,"egress_mib_used":5,"egress_micros_per_gib_max":7,"overage_micros_max":8,)"
    R"("overage_micros_used":6,"all_in_micros_per_hour":6,"version":1})";

}  // namespace

TEST_CASE("a lease, as its renter and as its seller see it") {
    CHECK(to_json(a_lease(), id<OrganizationId>(3)) == lease_text);
    CHECK(to_json(a_lease(), id<OrganizationId>(4)).find(R"("role":"seller")") != std::string::npos);
}

TEST_CASE("an order that was placed") {
    const market::OrderPlaced placed{an_order(), a_lease(), std::nullopt};
    CHECK(encode_order_placed(placed, {id<OrganizationId>(3), {}}) ==
          R"({"order":)" + order_text + R"(,"lease":)" + lease_text + R"(,"job":null})");
    const market::OrderPlaced standing{an_order(), std::nullopt, std::nullopt};
    CHECK(encode_order_placed(standing, {}) ==
          R"({"order":)" + order_text + R"(,"lease":null,"job":null})");
}

TEST_CASE("a job carries its specification") {
    market::Job job;
    job.id = id<JobId>(8);
    job.organization = id<OrganizationId>(3);
    job.exit_code = -1;
    job.reason = market::EndReason::command_failed;
    CHECK(to_json(job, R"({"image":"a","env":{"B":"{}"}})") ==
          R"({"id":"job_00000000000000000000000008","organization_id":"org_00000000000000000000000003",)"
          R"("state":"queued","order_id":null,"rank":0,"hosts":1,)"
          R"("lease_id":null,"image":"a","env":{"B":"{}"},"attempts":0,"restarts":0,)"
          R"("exit_code":-1,"reason":"command_failed",)"
          R"("queued_at":"1970-01-01T00:00:00.000Z","started_at":null,)"
          R"("finished_at":null,"progress":null,"version":1})");
}

TEST_CASE("a job whose progress may change by itself has no ETag") {
    accounts::LeaseProgress progress;
    progress.step = accounts::ProgressStep::fetching_inputs;
    progress.done_bytes = 5;
    const std::string without = to_json(market::Job{}, "{}");
    const std::string with = to_json(market::Job{}, "{}", &progress);
    CHECK(etag_of(without) == R"("1")");
    CHECK_FALSE(etag_of(with));
    CHECK(with.find(R"("version":1,"progress":{"step":"fetching_inputs","done_bytes":5,"total_bytes":null,)"
                    R"("at":"1970-01-01T00:00:00.000Z"}})") != std::string::npos);
}

TEST_CASE("a card's capacity is one object or null") {
    market::Card card;
    card.id = id<CardId>(1);
    card.product = "H100";
    CHECK(to_json(card).find(R"("capacity":null)") != std::string::npos);
    card.vram_bytes = 1;
    card.memory_bandwidth_bytes_per_s = 2;
    card.fp32_flops = 3;
    card.measured_at = Time(4);
    CHECK(to_json(card).find(
              R"("capacity":{"vram_bytes":1,"memory_bandwidth_bytes_per_s":2,"fp32_flops":3,)"
              R"("fp16_flops":null,"to_device_bytes_per_s":null,"from_device_bytes_per_s":null,)"
              R"("measured_at":"1970-01-01T00:00:00.004Z"})") != std::string::npos);
    CHECK(to_json(card).find(R"("verification":{"state":"unverified","reason":null,"at":null})") !=
          std::string::npos);
}

TEST_CASE("a host's score is its record, what is assumed beside it, and what follows") {
    const market::HostRecord record{hours(900), hours(1), hours(4), Millis(5), Millis(6)};
    CHECK(score_json(id<HostId>(1), record) ==
          R"({"host_id":"host_00000000000000000000000001","reliability_ppm":993013,)"
          R"("delivered_ms":3240000000,"lost_ms":3600000,"reclaimed_ms":14400000,)"
          R"("start_failed_ms":5,"clipped_ms":6,"failed_ms":7200011,)"
          R"("prior_delivered_ms":342000000,"prior_failed_ms":18000000})");
}

TEST_CASE("a card has its model and whether its memory is stock, as far as the catalog knows") {
    market::Card card;
    card.product = "a card nobody has";
    CHECK(to_json(card).find(R"("model":null,"verification_class":null)") != std::string::npos);
    card.product = "NVIDIA GeForce RTX 4090 D";
    CHECK(to_json(card).find(R"("model":"rtx-4090d","verification_class":null)") != std::string::npos);
    card.vram_bytes = 24LL << 30;
    CHECK(to_json(card).find(R"("model":"rtx-4090d","verification_class":"stock")") != std::string::npos);
    card.vram_bytes = 48LL << 30;
    CHECK(to_json(card).find(R"("model":"rtx-4090d","verification_class":"modified")") !=
          std::string::npos);
}

TEST_CASE("text is escaped as RFC 8259 has it") {
    JsonWriter json;
    json.begin_array()
        .value("\"\\\b\x01/é")
        .value("")
        .value(std::optional<std::string>())
        .value(true)
        .end_array();
    CHECK(json.text() == "[\"\\\"\\\\\\u0008\\u0001/é\",\"\",null,true]");
}

TEST_CASE("what looks like structure inside text does not confuse the commas") {
    JsonWriter json;
    json.begin_object().field("a", "x{").field("b", "y:").field("c", "[").end_object();
    CHECK(json.text() == R"({"a":"x{","b":"y:","c":"["})");
}

TEST_CASE("a transfer's accounts follow from its reason") {
    ledger::Transfer transfer;
    transfer.reason = ledger::TransferReason::withdrawal;
    CHECK(view_of(transfer, ledger::AccountKind::available).debit_kind == ledger::AccountKind::available);
    transfer.reason = ledger::TransferReason::fee;
    CHECK(view_of(transfer).credit_kind == ledger::AccountKind::fees);
}

TEST_CASE("an object's ETag is the version it ends with") {
    CHECK(etag_of(lease_text) == "\"3\"");
    CHECK(etag_of(R"({"a":1,"version":12})") == "\"12\"");
    CHECK_FALSE(etag_of(R"({"job":{"a":1,"version":12}})").has_value());
    CHECK_FALSE(etag_of(R"({"a":"x,"version":12})"
                        "\n")
                    .has_value());
    CHECK_FALSE(etag_of(R"({"fee_ppm":12})").has_value());
    CHECK_FALSE(etag_of("").has_value());
}

TEST_CASE("If-None-Match turns a read into 304") {
    http::Request request;
    request.headers = {{"if-none-match", R"("1", W/"3")"}};
    http::Reply reply = json_reply(lease_text);
    apply_etag(request, reply);
    CHECK(reply.status == 304);
    CHECK(reply.body.empty());
    request.headers = {{"if-none-match", R"("4")"}};
    reply = json_reply(lease_text);
    apply_etag(request, reply);
    CHECK(reply.status == 200);
    CHECK(reply.headers == http::Fields{{"ETag", "\"3\""}});
}

TEST_CASE("If-Match names one version") {
    http::Request request;
    CHECK(if_match(request).error().code == ErrorCode::precondition_required);
    request.headers = {{"if-match", "\"7\""}};
    CHECK(*if_match(request) == 7);
    for (const char* wrong : {"7", "\"\"", "\"x\"", "\"0\"", "*", "W/\"7\"", "\"7\", \"8\""}) {
        INFO(wrong);
        request.headers = {{"if-match", wrong}};
        REQUIRE_FALSE(if_match(request).ok());
        CHECK(if_match(request).error().code == ErrorCode::invalid_field);
    }
}

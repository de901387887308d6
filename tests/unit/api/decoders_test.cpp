// The decoders of sellers, operators, agents and keys: one row, one body, one code and pointer.
#include <catch2/catch.hpp>
#include <functional>

#include "api/accounts_decode.hpp"
#include "api/admin_decode.hpp"
#include "api/agent_decode.hpp"
#include "api/listings_decode.hpp"
#include "auth/base64.hpp"

using namespace fallow;
using namespace fallow::api;

namespace {

struct Refused {
    std::string body;
    ErrorCode code;
    std::string pointer;
};

template <class Decode>
void check_refused(Decode&& decode, const std::vector<Refused>& rows) {
    for (const Refused& row : rows) {
        INFO(row.body);
        const auto refused = decode(row.body);
        REQUIRE_FALSE(refused.ok());
        CHECK(refused.error().code == row.code);
        CHECK(refused.error().pointer == row.pointer);
    }
}

const std::string host = R"("host_id":"host_00000000000000000000000001")";
const std::string cards =
    R"("card_ids":["card_00000000000000000000000001","card_00000000000000000000000002"])";
const std::string key64 = auth::base64_encode(std::string(64, 'k'));
const std::string key32 = auth::base64_encode(std::string(32, 'k'));

}  // namespace

TEST_CASE("a listing has its defaults") {
    const auto listing = decode_listing("{" + host + "," + cards + R"(,"ask_micros_per_hour":5})");
    REQUIRE(listing.ok());
    CHECK(listing->term_min == minutes(1));
    CHECK(listing->term_max == days(30));
    CHECK(listing->reclaim_notice == minutes(1));
    CHECK(listing->bundle_min == 1);
    CHECK(listing->share_min == 1000);
    CHECK(listing->cards.size() == 2);
}

TEST_CASE("listings that are refused") {
    const std::string start = "{" + host + "," + cards + R"(,"ask_micros_per_hour":5,)";
    check_refused(
        decode_listing,
        {{"{" + cards + R"(,"ask_micros_per_hour":5})", ErrorCode::missing_field, "/host_id"},
         {"{" + host + R"(,"ask_micros_per_hour":5})", ErrorCode::missing_field, "/card_ids"},
         {"{" + host + R"(,"card_ids":[],"ask_micros_per_hour":5})", ErrorCode::invalid_field, "/card_ids"},
         {"{" + host + R"(,"card_ids":["x"],"ask_micros_per_hour":5})", ErrorCode::invalid_id,
          "/card_ids/0"},
         {"{" + host +
              R"(,"card_ids":["card_00000000000000000000000001","card_00000000000000000000000001"],)"
              R"("ask_micros_per_hour":5})",
          ErrorCode::invalid_field, "/card_ids"},
         {start + R"("term_min_ms":120000,"term_max_ms":60000})", ErrorCode::invalid_field, "/term_max_ms"},
         {start + R"("reclaim_notice_ms":3600001})", ErrorCode::invalid_field, "/reclaim_notice_ms"},
         {start + R"("spot_floor_micros_per_hour":-1})", ErrorCode::invalid_field,
          "/spot_floor_micros_per_hour"},
         {start + R"("bundle_min":3})", ErrorCode::invalid_field, "/bundle_min"},
         {start + R"("share_min_thousandths":0})", ErrorCode::invalid_field, "/share_min_thousandths"},
         {start + R"("share_min_thousandths":1001})", ErrorCode::invalid_field, "/share_min_thousandths"},
         {start + R"("share_min_thousandths":500,"bundle_min":2})", ErrorCode::invalid_field,
          "/share_min_thousandths"},
         {start + R"("available_from":"2026-01-02T00:00:00Z","available_until":"2026-01-01T00:00:00Z"})",
          ErrorCode::invalid_field, "/available_until"},
         {start + R"("windows":["fri 18:00-mon 08:00","sat"]})", ErrorCode::invalid_field, "/windows/1"},
         {start + R"("windows_utc_offset_minutes":841})", ErrorCode::invalid_field,
          "/windows_utc_offset_minutes"},
         {start + R"("renters_blocked":["org_1"]})", ErrorCode::invalid_id, "/renters_blocked/0"},
         {start + R"("images_allowed":["*"]})", ErrorCode::invalid_field, "/images_allowed/0"},
         {start + R"("images_allowed":["a*b"]})", ErrorCode::invalid_field, "/images_allowed/0"},
         {start + R"("state":"open"})", ErrorCode::unknown_field, "/state"}});
}

TEST_CASE("changes of a listing that are refused") {
    const auto decode = [](std::string_view body) {
        return decode_listing_change(body, ListingId(RawId{0, 1}), 3);
    };
    check_refused(
        decode,
        {{"{}", ErrorCode::missing_field, ""},
         {R"({"state":"withdrawn"})", ErrorCode::invalid_field, "/state"},
         {R"({"ask_micros_per_hour":-1})", ErrorCode::invalid_field, "/ask_micros_per_hour"},
         {R"({"no_spot":false})", ErrorCode::missing_field, ""},
         {R"({"no_spot":true,"spot_floor_micros_per_hour":1})", ErrorCode::invalid_field, "/no_spot"},
         {R"({"bundle_min":1})", ErrorCode::unknown_field, "/bundle_min"}});
    const auto change = decode(R"({"state":"paused"})");
    REQUIRE(change.ok());
    CHECK(change->version == 3);
    CHECK(change->terms.state == market::ListingState::paused);
    CHECK_FALSE(change->terms.ask.has_value());
    CHECK(decode(R"({"share_min_thousandths":250})")->terms.share_min == 250);
}

TEST_CASE("a list that is given empty is cleared, one that is left out stays") {
    const auto change =
        decode_listing_change(R"({"windows":[],"images_allowed":["team/*"]})", ListingId(RawId{0, 1}), 3);
    REQUIRE(change.ok());
    CHECK(change->terms.windows == std::vector<std::string>{});
    CHECK(change->terms.images_allowed == std::vector<std::string>{"team/*"});
    CHECK_FALSE(change->terms.renters_allowed.has_value());
}

TEST_CASE("changes of many listings") {
    check_refused(decode_listing_changes,
                  {{"{}", ErrorCode::missing_field, "/change"},
                   {R"({"change":{}})", ErrorCode::missing_field, "/change"},
                   {R"({"change":{"ask":1}})", ErrorCode::unknown_field, "/change/ask"},
                   {R"({"filter":{"state":"withdrawn"},"change":{"state":"open"}})",
                    ErrorCode::invalid_field, "/filter/state"},
                   {R"({"filter":{"listing_ids":["x"]},"change":{"state":"open"}})", ErrorCode::invalid_id,
                    "/filter/listing_ids/0"}});
    const auto all = decode_listing_changes(R"({"change":{"ask_micros_per_hour":7}})");
    REQUIRE(all.ok());
    CHECK_FALSE(all->dry_run);
    CHECK(all->terms.ask == ledger::Price(7));
    const auto some = decode_listing_changes(
        R"({"filter":{"product":"H100","state":"paused"},"change":{"state":"open"},"dry_run":true})");
    REQUIRE(some.ok());
    CHECK(some->dry_run);
    CHECK(some->filter.product == "H100");
    CHECK(some->filter.state == market::ListingState::paused);
}

TEST_CASE("keys that are refused") {
    check_refused(decode_new_key,
                  {{"{}", ErrorCode::missing_field, "/name"},
                   {R"({"name":"a"})", ErrorCode::missing_field, "/scopes"},
                   {R"({"name":"a","scopes":["root"]})", ErrorCode::invalid_field, "/scopes/0"},
                   {R"({"name":"a","scopes":["admin","admin"]})", ErrorCode::invalid_field, "/scopes/1"},
                   {R"({"name":" a","scopes":["admin"]})", ErrorCode::invalid_field, "/name"},
                   {R"({"name":"a","scopes":["admin"],"expires_in_ms":1})", ErrorCode::invalid_field,
                    "/expires_in_ms"}});
    const auto key = decode_new_key(R"({"name":"a","scopes":["renter:write","seller:read"]})");
    REQUIRE(key.ok());
    CHECK(key->scopes == std::vector<std::string>{"seller:read", "renter:write"});
}

TEST_CASE("artifacts that are refused") {
    const std::string hash = std::string(64, 'a');
    check_refused(
        decode_artifact,
        {{R"({"name":"a","bytes":-1,"sha256":")" + hash + R"("})", ErrorCode::invalid_field, "/bytes"},
         {R"({"name":"a","bytes":268435457,"sha256":")" + hash + R"("})", ErrorCode::invalid_field,
          "/bytes"},
         {R"({"name":"a","bytes":1,"sha256":"A"})", ErrorCode::invalid_field, "/sha256"}});
    check_refused(decode_output, {{R"({"path":"../a","bytes":1,"sha256":")" + hash + R"("})",
                                   ErrorCode::invalid_field, "/path"}});
}

TEST_CASE("operators' bodies that are refused") {
    const std::string organization = R"("organization_id":"org_00000000000000000000000001")";
    check_refused(decode_organization,
                  {{R"({"name":"a"})", ErrorCode::missing_field, "/country"},
                   {R"({"name":"a","country":"Germany"})", ErrorCode::invalid_field, "/country"}});
    check_refused(decode_deposit, {{"{" + organization + R"(,"amount_micros":0,"reference":"r"})",
                                    ErrorCode::invalid_field, "/amount_micros"},
                                   {"{" + organization + R"(,"amount_micros":1})", ErrorCode::missing_field,
                                    "/reference"}});
    check_refused(decode_withdrawal,
                  {{"{" + organization + R"(,"account":"held","amount_micros":1,"reference":"r"})",
                    ErrorCode::invalid_field, "/account"}});
    check_refused(decode_fee, {{R"({"fee_ppm":500001})", ErrorCode::invalid_field, "/fee_ppm"}});
    check_refused(decode_freeze,
                  {{R"({"kind":"host","target":"x"})", ErrorCode::invalid_id, "/target"},
                   {R"({"kind":"planet","target":"x"})", ErrorCode::invalid_field, "/kind"}});
    CHECK(decode_freeze(R"({"kind":"image","target":"busybox"})")->note.empty());
}

TEST_CASE("agents' bodies that are refused") {
    check_refused(
        [](std::string_view body) {
            return decode_report(body, LeaseId(RawId{0, 1}));
        },
        {{R"({"lease_epoch":1,"phase":"flying"})", ErrorCode::invalid_field, "/phase"},
         {R"({"lease_epoch":1,"phase":"running"})", ErrorCode::missing_field, "/container_id"},
         {R"({"lease_epoch":1,"phase":"exited"})", ErrorCode::missing_field, "/exit_code"},
         {R"({"lease_epoch":1,"phase":"failed","reason":"outbid"})", ErrorCode::invalid_field, "/reason"},
         {R"({"lease_epoch":1,"phase":"gone","exit_code":1})", ErrorCode::unknown_field, "/exit_code"},
         {R"({"lease_epoch":1,"phase":"reclaimed","notice_ms":3600001})", ErrorCode::invalid_field,
          "/notice_ms"},
         {R"({"phase":"gone"})", ErrorCode::missing_field, "/lease_epoch"}});
    check_refused(decode_heartbeat, {{R"({"boot_id":"b","sequence":1,"leases":[{"lease_id":"x"}]})",
                                      ErrorCode::invalid_id, "/leases/0/lease_id"}});
    check_refused(
        decode_usage,
        {{R"({"statement":"s","signature":"short"})", ErrorCode::invalid_field, "/signature"},
         {R"({"statement":"s","signature":")" + key32 + R"("})", ErrorCode::invalid_field, "/signature"}});
    check_refused(
        decode_logs,
        {{R"({"sequence":-1,"entries":[]})", ErrorCode::invalid_field, "/sequence"},
         {R"({"sequence":0,"entries":[{"stream":"log","at":"2026-01-02T03:04:05.678Z","data":""}]})",
          ErrorCode::invalid_field, "/entries/0/stream"},
         {R"({"sequence":0,"entries":[{"stream":"stdout","at":"2026-01-02T03:04:05.678Z","data":"!"}]})",
          ErrorCode::invalid_field, "/entries/0/data"}});
    CHECK(decode_usage(R"({"statement":"a\nb\n","signature":")" + key64 + R"("})").ok());
}

TEST_CASE("log entries are numbered from the first") {
    const auto chunk = decode_logs(
        R"({"sequence":5,"entries":[{"stream":"stdout","at":"2026-01-02T03:04:05.678Z","data":"aGk="},)"
        R"({"stream":"stderr","at":"2026-01-02T03:04:05.679Z","data":"/w=="}]})");
    REQUIRE(chunk.ok());
    REQUIRE(chunk->entries.size() == 2);
    CHECK(chunk->entries[0].sequence == 5);
    CHECK(chunk->entries[0].data == "hi");
    CHECK(chunk->entries[1].sequence == 6);
    CHECK(chunk->entries[1].stream == accounts::LogStream::stderr_stream);
    CHECK(chunk->entries[1].data == "\xff");
}

TEST_CASE("an inventory's card has its capacity or none of it") {
    const std::string start = R"({"boot_id":"b","agent_version":"1","runtime":"runc",)"
                              R"("engine":"podman 4.3","cpu_cores":2,"memory_bytes":1,)"
                              R"("cards":[{"index":0,"uuid":"u","pci_address":null,"product":"H100",)"
                              R"("vendor":"NVIDIA","device_class":"gpu",)"
                              R"("backend":"nvml","driver_version":"1")";
    const auto without = decode_inventory(start + R"(,"capacity":null}]})");
    REQUIRE(without.ok());
    CHECK_FALSE(without->cards[0].measured_at.has_value());
    check_refused(decode_inventory,
                  {{start + R"(,"capacity":{"vram_bytes":1}}]})", ErrorCode::missing_field,
                    "/cards/0/capacity/memory_bandwidth_bytes_per_s"}});
    const auto with = decode_inventory(
        start + R"(,"capacity":{"vram_bytes":8,"memory_bandwidth_bytes_per_s":7,"fp32_flops":6,)"
                R"("measured_at":"1970-01-01T00:00:01Z"}}]})");
    REQUIRE(with.ok());
    CHECK(with->cards[0].vram_bytes == 8);
    CHECK(with->cards[0].measured_at == Time(1000));
}

TEST_CASE("what an agent tells of host and card is bounded, and none of it is needed") {
    const auto body = [](const std::string& of_host, const std::string& of_card) {
        return R"({"boot_id":"b","agent_version":"1","runtime":"runc","engine":"podman 4.3","cpu_cores":2,)"
               R"("memory_bytes":1)" +
               of_host + R"(,"cards":[{"index":0,"uuid":"u","product":"H100","vendor":"NVIDIA",)" +
               R"("device_class":"gpu","backend":"amdgpu","driver_version":"1")" + of_card + "}]}";
    };
    const auto silent = decode_inventory(body("", ""));
    REQUIRE(silent.ok());
    CHECK(silent->details == market::HostDetails{});
    CHECK(silent->cards[0].details == market::CardDetails{});
    CHECK_FALSE(silent->cards[0].verdict);
    CHECK(silent->cards[0].offered);
    const auto kept =
        decode_inventory(body("", R"(,"offered":false,"withheld_reason":"its owner has it")"));
    REQUIRE(kept.ok());
    CHECK_FALSE(kept->cards[0].offered);
    CHECK(kept->cards[0].withheld_reason == "its owner has it");
    const auto told = decode_inventory(
        body(R"(,"cpu_model":"m","cpu_clock_mhz":3500,"rack":"r","disk_speed":{"write_bytes_per_s":1,)"
             R"("read_bytes_per_s":2,"measured_at":"1970-01-01T00:00:01Z"},"guest_network":"none",)"
             R"("working_storage":"wiped","gang_network":true,)"
             R"("network_speed":{"up_bytes_per_s":3,"down_bytes_per_s":4,)"
             R"("measured_at":"1970-01-01T00:00:02Z"})",
             R"(,"clock_mhz":1,"ecc":false,"ecc_errors":2,"nvlink_links":3,"nvlink_bytes_per_s":4,)"
             R"("nvlink_group":5,"mig_profile":"1g.5gb","mig_parent":"p","verification":)"
             R"({"state":"refused","reason":"why","at":"1970-01-01T00:00:01Z"})"));
    REQUIRE(told.ok());
    CHECK(told->details == market::HostDetails{"m", 3500, "r", 1, 2, Time(1000), market::GuestNetwork::none,
                                               market::WorkingStorage::wiped, 3, 4, Time(2000), true});
    CHECK(told->cards[0].details == market::CardDetails{1, false, 2, 3, 4, 5, "1g.5gb", "p"});
    REQUIRE(told->cards[0].verdict);
    CHECK(*told->cards[0].verdict == market::CardVerdict{market::Verification::refused, "why", Time(1000)});
    check_refused(
        decode_inventory,
        {{body(R"(,"rack":"")", ""), ErrorCode::invalid_field, "/rack"},
         {body(R"(,"guest_network":"lan")", ""), ErrorCode::invalid_field, "/guest_network"},
         {body(R"(,"working_storage":"paper")", ""), ErrorCode::invalid_field, "/working_storage"},
         {body(R"(,"gang_network":"yes")", ""), ErrorCode::invalid_field, "/gang_network"},
         {body(R"(,"cpu_clock_mhz":-1)", ""), ErrorCode::invalid_field, "/cpu_clock_mhz"},
         {body(R"(,"disk_speed":{"write_bytes_per_s":1})", ""), ErrorCode::missing_field,
          "/disk_speed/read_bytes_per_s"},
         {body(R"(,"network_speed":{"up_bytes_per_s":1})", ""), ErrorCode::missing_field,
          "/network_speed/down_bytes_per_s"},
         {body(R"(,"network_speed":{"up_bytes_per_s":-1})", ""), ErrorCode::invalid_field,
          "/network_speed/up_bytes_per_s"},
         {body("", R"(,"ecc":1)"), ErrorCode::invalid_field, "/cards/0/ecc"},
         {body("", R"(,"withheld_reason":"why")"), ErrorCode::invalid_field, "/cards/0/withheld_reason"},
         {body("", R"(,"nvlink_group":2147483648)"), ErrorCode::invalid_field, "/cards/0/nvlink_group"},
         {body("", R"(,"verification":{"state":"good"})"), ErrorCode::invalid_field,
          "/cards/0/verification/state"},
         {body("", R"(,"verification":{"state":"refused"})"), ErrorCode::invalid_field,
          "/cards/0/verification/reason"},
         {body("", R"(,"verification":{"state":"verified","reason":"why"})"), ErrorCode::invalid_field,
          "/cards/0/verification/reason"}});
}

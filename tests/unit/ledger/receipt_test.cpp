#include "ledger/receipt.hpp"

#include <catch2/catch.hpp>

using namespace fallow;
using namespace fallow::ledger;

namespace {

ReceiptFacts facts() {
    ReceiptFacts facts;
    facts.server_key = "c2VydmVyLWtleQ==";
    facts.lease = LeaseId(RawId{0, 1});
    facts.order = OrderId(RawId{0, 2});
    facts.renter = OrganizationId(RawId{0, 3});
    facts.seller = OrganizationId(RawId{0, 4});
    facts.host = HostId(RawId{0, 5});
    facts.listing = ListingId(RawId{0, 6});
    facts.cards = {CardId(RawId{0, 7}), CardId(RawId{0, 8})};
    facts.thousandths = 2000;
    facts.started_at = Time(1'767'323'045'678);
    facts.ended_at = Time(1'767'326'645'678);
    facts.end_reason = "completed";
    facts.segments = {Segment{Price(2'500'000), Millis(3'000'000)},
                      Segment{Price(2'000'000), Millis(600'000)}};
    facts.meter.running = Millis(3'600'000);
    facts.meter.charged = Micros(4'833'333);
    facts.meter.fee = Micros(241'666);
    facts.usage_sha256 = std::string(64, 'a');
    return facts;
}

}  // namespace

TEST_CASE("A receipt's text is exactly these bytes") {
    CHECK(receipt_text(facts()) ==
          "fallow-receipt-v1\n"
          "server_key: c2VydmVyLWtleQ==\n"
          "lease: lease_00000000000000000000000001\n"
          "order: order_00000000000000000000000002\n"
          "renter: org_00000000000000000000000003\n"
          "seller: org_00000000000000000000000004\n"
          "host: host_00000000000000000000000005\n"
          "listing: listing_00000000000000000000000006\n"
          "cards: card_00000000000000000000000007,card_00000000000000000000000008\n"
          "thousandths: 2000\n"
          "started_at: 2026-01-02T03:04:05.678Z\n"
          "ended_at: 2026-01-02T04:04:05.678Z\n"
          "end_reason: completed\n"
          "segment: 2500000 3000000\n"
          "segment: 2000000 600000\n"
          "running_ms: 3600000\n"
          "charged_micros: 4833333\n"
          "fee_micros: 241666\n"
          "usage_sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
          "signers: server+host\n");
}

TEST_CASE("A receipt that no host stands behind says so") {
    ReceiptFacts lost = facts();
    lost.started_at.reset();
    lost.usage_sha256.reset();
    lost.end_reason = "host_lost";
    const std::string text = receipt_text(lost);
    CHECK(text.find("started_at: none\n") != std::string::npos);
    CHECK(text.find("usage_sha256: none\nsigners: server\n") != std::string::npos);
    CHECK(text.ends_with("signers: server\n"));
}

TEST_CASE("A receipt tells what storage cost, where it cost something") {
    ReceiptFacts stored = facts();
    stored.storage_bytes = std::int64_t{100} << 30;
    stored.storage_price = Micros(70'000);
    Meter& meter = stored.meter;
    meter = {};
    const std::int64_t nanos = storage_nanos_per_hour(stored.storage_price, stored.storage_bytes);
    for (const Segment& segment : stored.segments)
        meter = advance(meter, {segment.price, stored.thousandths, nanos}, segment.running, 0);
    const std::string text = receipt_text(stored);
    CHECK(text.find("segment: 2000000 600000\n"
                    "storage_bytes: 107374182400\n"
                    "storage_micros_per_gib_month: 70000\n"
                    "storage_nanos_per_hour: 9589041\n"
                    "storage_micros: 9589\n"
                    "running_ms: 3600000\n"
                    "charged_micros: 4842922\n") != std::string::npos);
    stored.storage_price = Micros(0);
    CHECK(receipt_text(stored).find("storage") == std::string::npos);
}

TEST_CASE("A receipt tells what traffic cost, after storage, where it cost something") {
    ReceiptFacts sent = facts();
    sent.storage_bytes = std::int64_t{100} << 30;
    sent.storage_price = Micros(70'000);
    sent.egress_price = Micros(1'000);
    Meter& meter = sent.meter;
    meter = {};
    const std::int64_t nanos = storage_nanos_per_hour(sent.storage_price, sent.storage_bytes);
    for (const Segment& segment : sent.segments)
        meter = advance(meter, {segment.price, sent.thousandths, nanos}, segment.running, 0,
                        {sent.egress_price, 1000});
    // Cards 4833333.3…, storage 9589.04…, traffic 1953.125: the parts follow the floors of their sums.
    CHECK(receipt_text(sent).find("storage_micros: 9589\n"
                                  "egress_mib: 2000\n"
                                  "egress_micros_per_gib: 1000\n"
                                  "egress_micros: 1953\n"
                                  "running_ms: 3600000\n"
                                  "charged_micros: 4844875\n") != std::string::npos);
    sent.egress_price = Micros(0);
    CHECK(receipt_text(sent).find("egress") == std::string::npos);
}

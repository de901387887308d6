#include "world.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>

#include "engine/journal.hpp"
#include "ledger/receipt.hpp"
#include "store/market_store.hpp"
#include "support/postgres_fixture.hpp"

namespace fallow::test {

using engine::CommitOutcome;
using ledger::Micros;
using ledger::Price;
using ledger::TransferReason;

namespace {

/// Of an agent that tells what was sent, where something was; else of an older one.
std::string usage_text(const market::Lease& lease, bool final) {
    const bool is_second = lease.egress_bytes_claimed > 0;
    const std::string sent =
        is_second ? fmt::format("egress_bytes: {}\n", lease.egress_bytes_claimed) : std::string();
    return fmt::format(
        "fallow-usage-v{}\nlease: {}\nepoch: {}\ncontainer: {}\nboot: {}\nnonce: {}\nsequence: "
        "{}\nrunning_ms: {}\n{}"
        "final: {}\n",
        is_second ? 2 : 1, lease.id.text(), lease.epoch, *lease.container, *lease.boot, lease.nonce,
        lease.usage_sequence, lease.claimed.count, sent, final ? "true" : "false");
}

}  // namespace

World::World() {
    people();
    supply();
    demand();
    rest();
    batch.journal = {"main", 1, 1, Time(world_now), R"({"v":1,"entries":[]})", {}};
    batch.journal.chain_hex = engine::next_chain("", batch.journal.record);
}

void World::people() {
    renter = fresh<OrganizationId>();
    seller = fresh<OrganizationId>();
    stranger = fresh<OrganizationId>();
    available = fresh<AccountId>();
    held = fresh<AccountId>();
    earned = fresh<AccountId>();
    auto& changes = batch.changes;
    changes.organizations.inserts = {
        {renter, "A \"renter\" \\ {with}, comma", "DE", market::OrganizationStatus::active, Time(1), 1},
        {seller, "Verkäufer", "FR", market::OrganizationStatus::active, Time(2), 1},
        {stranger, "NULL", "US", market::OrganizationStatus::frozen, Time(3), 4}};
    changes.accounts.inserts = {{available, renter, ledger::AccountKind::available, {}},
                                {held, renter, ledger::AccountKind::held, {}},
                                {earned, seller, ledger::AccountKind::earned, {}}};
    move(external, platform, available, renter, 10'000'000, TransferReason::deposit, std::nullopt);
    changes.transfers.inserts.back().reference = "bank, 'slip' 7";
}

void World::supply() {
    host = fresh<HostId>();
    card = fresh<CardId>();
    free_card = fresh<CardId>();
    listing = fresh<ListingId>();
    market::Host machine;
    machine.id = host;
    machine.organization = seller;
    machine.name = "rack 1";
    machine.state = market::HostState::online;
    machine.verification = market::Verification::verified;
    machine.country = "FR";
    machine.runtime = "crun";
    machine.signing_key = "c2lnbmluZw==";
    machine.enrolled_at = Time(10);
    machine.unreachable_since = Time(11);
    batch.changes.hosts.inserts = {machine};
    market::Card device;
    device.id = card;
    device.host = host;
    device.organization = seller;
    device.uuid = "GPU-1";
    device.product = "H100";
    device.vendor = "NVIDIA";
    market::Card measured = device;
    measured.id = free_card;
    measured.index = 1;
    measured.uuid = "GPU-2";
    measured.pci_address = "0000:01:00.0";
    measured.vram_bytes = 80LL << 30;
    measured.memory_bandwidth_bytes_per_s = 3'000'000'000'000;
    measured.fp32_flops = 60'000'000'000'000;
    measured.measured_at = Time(12);
    batch.changes.cards.inserts = {device, measured};
    market::Listing offer;
    offer.id = listing;
    offer.organization = seller;
    offer.host = host;
    offer.cards = {card, free_card};
    offer.ask = Price(2'000'000);
    offer.spot_floor = Price(1'000'000);
    offer.term_min = minutes(1);
    offer.term_max = days(30);
    offer.reclaim_notice = minutes(1);
    offer.available_from = Time(13);
    offer.created_at = Time(14);
    batch.changes.listings.inserts = {offer};
}

void World::move(AccountId debit, OrganizationId debit_owner, AccountId credit, OrganizationId credit_owner,
                 std::int64_t micros, TransferReason reason, std::optional<LeaseId> of_lease) {
    batch.changes.transfers.inserts.push_back({fresh<TransferId>(), debit, credit, debit_owner,
                                               credit_owner, Micros(micros), reason, of_lease, std::nullopt,
                                               std::nullopt, Time(world_now)});
}

/// One accepted usage statement, and the transfers it causes.
void World::meter(market::Lease& row, std::int64_t running_ms, std::int64_t accepted_at, bool final) {
    const ledger::Meter before = row.meter;
    const std::int64_t sent_mib =
        std::min(row.egress_bytes_claimed / ledger::bytes_per_mib, row.egress_mib_max.value_or(0));
    row.meter = ledger::advance(before, row.rate(), Millis(running_ms) - before.running, row.fee_ppm,
                                {row.egress_price, sent_mib - before.egress_mib});
    const Micros charge = row.meter.charged - before.charged;
    const Micros fee = row.meter.fee - before.fee;
    row.held = row.held - charge;
    ++row.usage_sequence;
    row.usage_at = Time(accepted_at);
    row.claimed = Millis(running_ms);
    const std::string statement = usage_text(row, final);
    row.usage_sha256 = engine::sha256_hex(statement);
    batch.changes.usage.inserts.push_back({row.id, row.usage_sequence, renter, seller, statement, "c2ln",
                                           Millis(running_ms), Millis(0), final, Time(accepted_at),
                                           sent_mib});
    move(held, renter, earned, seller, (charge - fee).count, TransferReason::charge, row.id);
    move(held, renter, fees, platform, fee.count, TransferReason::fee, row.id);
}

void World::demand() {
    order = fresh<OrderId>();
    ended_order = fresh<OrderId>();
    lease = fresh<LeaseId>();
    ended_lease = fresh<LeaseId>();
    job = fresh<JobId>();
    market::Lease row;
    row.id = lease;
    row.order = order;
    row.renter = renter;
    row.seller = seller;
    row.host = host;
    row.listing = listing;
    row.job = job;
    row.state = market::LeaseState::running;
    row.price = Price(2'000'000);
    row.fee_ppm = 50'000;
    row.term = hours(2);
    row.epoch = 1;
    row.allocated_at = Time(world_now - 3'700'000);
    row.running_at = Time(world_now - 3'600'000);
    row.nonce = "00112233445566778899aabbccddeeff";
    row.container = "c0ffee";
    row.boot = "boot-1";
    row.cards = {card};
    market::Lease done = row;
    done.id = ended_lease;
    done.order = ended_order;
    done.job.reset();
    done.pinned = true;
    done.price = Price(1'234'567);
    done.spot_floor = Price(1'000'000);
    done.storage_bytes = std::int64_t{10} << 30;
    done.storage_price = Micros(730'000);
    done.egress_price = Micros(64'000);
    done.egress_mib_max = 3072;
    done.egress_bytes_claimed = (std::int64_t{100} << 20) + 7;
    done.cards = {card};
    move(available, renter, held, renter, 5'000'000, TransferReason::hold, lease);
    move(available, renter, held, renter, 1'000'000, TransferReason::hold, ended_lease);
    row.held = Micros(5'000'000);
    done.held = Micros(1'000'000);
    meter(row, 1'800'000, world_now - 1'800'000, false);
    meter(row, 3'600'000, world_now, false);
    meter(done, 100'000, world_now, true);
    move(held, renter, available, renter, done.held.count, TransferReason::release, ended_lease);
    done.held = Micros(0);
    done.state = market::LeaseState::ended;
    done.end_reason = market::EndReason::completed;
    done.ended_at = Time(world_now);
    done.exit_code = -7;
    done.released = true;
    batch.changes.leases.inserts = {row, done};
    batch.changes.lease_cards.inserts = {{lease, card, 1000, false}, {ended_lease, card, 1000, true}};
    market::Order wish;
    wish.id = order;
    wish.organization = renter;
    wish.state = market::OrderState::filled;
    wish.requirements.products = {"H100", "a \"b\", {c}"};
    wish.requirements.device_class = market::DeviceClass::gpu;
    wish.requirements.countries = {"FR"};
    wish.price_max = Price(3'000'000);
    wish.term = hours(2);
    wish.placed_at = Time(world_now - 3'700'000);
    wish.expires_at = Time(world_now);
    wish.lease = lease;
    wish.job = job;
    market::Order other = wish;
    other.id = ended_order;
    other.pricing = market::OrderPricing::spot;
    other.bid_changed_at = Time(world_now - 3'000'000);
    other.promised = {card, free_card};
    other.storage_bytes = done.storage_bytes;
    other.storage_price_max = done.storage_price;
    other.stored_gib_max = 10;
    other.hourly = Micros(1'244'567);
    other.egress_gib = 3;
    other.egress_price_max = Micros(64'000);
    other.overage_max = Micros(5'000);
    other.traffic_used = {1024, Micros(5'000)};
    other.requirements = {};
    other.requirements.host = host;
    other.lease = ended_lease;
    other.job.reset();
    other.placed_at = Time(world_now - 3'700'001);
    batch.changes.orders.inserts = {wish, other};
}

void World::rest() {
    market::Job work;
    work.id = job;
    work.organization = renter;
    work.state = market::JobState::running;
    work.order = order;
    work.lease = lease;
    work.image = "busybox:1";
    work.max_duration = hours(1);
    work.attempts = 1;
    work.queued_at = Time(world_now - 3'700'000);
    work.started_at = Time(world_now - 3'600'000);
    auto& changes = batch.changes;
    changes.jobs.inserts = {work};
    changes.job_specs.inserts = {{job, renter, R"({"image":"busybox:1","env":{"A":"\\\"é"}})"}};
    changes.freezes.inserts = {{fresh<FreezeId>(), market::FreezeKind::image, "evil:*", "line\nbreak\ttab",
                                "key_x", Time(world_now)}};
    market::SpotPool pool;
    pool.id = fresh<SpotPoolId>();
    pool.name = "h100-80gib";
    pool.product = "H100";
    pool.vram_gib = 80;
    pool.price = Price(1'000'000);
    pool.cards = 2;
    pool.cards_leased = 1;
    pool.bids = 3;
    pool.repriced_at = Time(world_now);
    changes.spot_pools.inserts = {pool};
    changes.spot_prices.inserts = {{pool.id, Time(world_now), Price(1'000'000)},
                                   {pool.id, Time(world_now + 1), std::nullopt}};
    changes.lease_segments.inserts = {{fresh<SegmentId>(), ended_lease, renter, 1, Millis(0), ended().price,
                                       Price(3'000'000), Time(world_now)}};
    changes.settings.updates = {{"main", 50'000, 2}};
    changes.policies.inserts = {{1, "deny all because \"a test\"\n", "key_x", Time(world_now)}};
    changes.policy_approvals.inserts = {
        {fresh<ApprovalId>(), renter, "h100-sxm", "a \"note\"", "key_x", Time(world_now)}};
    market::Reservation block;
    block.id = reservation = fresh<ReservationId>();
    block.renter = renter;
    block.seller = seller;
    block.host = host;
    block.listing = listing;
    block.cards = {free_card};
    block.starts_at = Time(world_now) + days(2);
    block.ends_at = block.starts_at + hours(3);
    block.price = Price(2'000'000);
    block.fee_ppm = 50'000;
    block.storage_price = Micros(730'000);
    block.stored_gib_max = 10;
    block.egress_price = Micros(64'000);
    block.egress_gib = 3;
    block.cancel_free_until = Time(world_now) + days(1);
    block.cancel_kept_ppm = 500'000;
    block.penalty_ppm = 100'000;
    block.deposit = Micros(700);
    block.bond_from = ledger::AccountKind::earned;
    block.booked_at = Time(world_now);
    changes.reservations.inserts = {block};
    changes.bookings.inserts = {
        {fresh<BookingId>(), free_card, renter, reservation, block.starts_at, block.ends_at, 1}};
    move(available, renter, held, renter, 700, TransferReason::reserve, std::nullopt);
    changes.transfers.inserts.back().reservation = reservation;
    batch.idempotency = {{renter, "POST /v1/orders", "k, \"1\"", std::string(64, 'f'), 201,
                          R"({"order":1})", Time(world_now)}};
    const market::Lease& done = ended();
    ledger::ReceiptFacts facts;
    facts.server_key = "c2VydmVy";
    facts.lease = done.id;
    facts.order = done.order;
    facts.renter = renter;
    facts.seller = seller;
    facts.host = host;
    facts.listing = listing;
    facts.cards = done.cards;
    facts.thousandths = done.thousandths;
    facts.started_at = done.running_at;
    facts.ended_at = *done.ended_at;
    facts.end_reason = name_of(*done.end_reason);
    facts.segments = {{done.price, done.meter.running}};
    facts.storage_bytes = done.storage_bytes;
    facts.storage_price = done.storage_price;
    facts.egress_price = done.egress_price;
    facts.meter = done.meter;
    facts.usage_sha256 = done.usage_sha256;
    batch.receipts = {
        {done.id, renter, seller, ledger::receipt_text(facts), "c2VydmVyIHNpZw==", Time(world_now)}};
}

SeededDatabase::SeededDatabase()
    : url(PostgresFixture::instance().fresh_database()), store(store::make_market_store({.url = url})) {
    const auto taken = store->take_leadership("main", {"test", ""}, seconds(1));
    REQUIRE(taken);
    leadership = *taken;
    const engine::CommitResult result = store->commit(world.batch);
    INFO(result.detail);
    REQUIRE(result.outcome == CommitOutcome::committed);
    leadership.sequence = world.batch.journal.sequence;
    leadership.chain_hex = world.batch.journal.chain_hex;
}

engine::CommitResult SeededDatabase::commit(const market::Changes& changes) {
    engine::Batch batch;
    batch.changes = changes;
    batch.journal = {
        "main", leadership.sequence + 1, leadership.epoch, Time(world_now + 1), R"({"v":1,"entries":[]})",
        {}};
    batch.journal.chain_hex = engine::next_chain(leadership.chain_hex, batch.journal.record);
    const engine::CommitResult result = store->commit(batch);
    if (result.outcome == CommitOutcome::committed) {
        leadership.sequence = batch.journal.sequence;
        leadership.chain_hex = batch.journal.chain_hex;
    }
    return result;
}

}  // namespace fallow::test

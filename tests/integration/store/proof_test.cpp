// The proof finds nothing in a correct ledger, and names the object of each of many small edits, made past
// every rule of the database.
#include <fmt/format.h>
#include <sys/wait.h>

#include <array>
#include <catch2/catch.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "store/connection.hpp"
#include "support/paths.hpp"
#include "support/postgres_fixture.hpp"
#include "world.hpp"

namespace fallow::test {
namespace {

using store::Connection;

struct ProofRun {
    int status = -1;
    std::string output;
    nlohmann::json json;
};

ProofRun run_proof(const std::string& arguments) {
    const std::string command = fallow::testing::bin_dir() + "/fallow-ledger-proof " + arguments + " 2>&1";
    FILE* pipe = popen(command.c_str(), "r");
    REQUIRE(pipe != nullptr);
    ProofRun run;
    std::array<char, 4096> piece{};
    while (std::fgets(piece.data(), piece.size(), pipe) != nullptr)
        run.output += piece.data();
    const int raw = pclose(pipe);
    run.status = WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
    if (run.output.starts_with("{")) run.json = nlohmann::json::parse(run.output);
    return run;
}

ProofRun prove(const std::string& url) {
    return run_proof("--json --database-url \"" + url + "\"");
}

struct Edit {
    std::string
        statement;  ///< run as the superuser, with every trigger and the constraints below out of the way
    std::string check;
    std::string object;
};

/// Each edit alone is a crime that the rest of the ledger gives away.
std::vector<Edit> edits(const World& world) {
    const std::string lease = world.lease.text();
    const std::string ended = world.ended_lease.text();
    const auto transfer = [&](std::size_t at) { return world.batch.changes.transfers.inserts[at]; };
    const ledger::Transfer deposit = transfer(0);
    const ledger::Transfer charge = transfer(3);
    const ledger::Transfer fee = transfer(4);
    const std::string on_lease = " WHERE id = " + sql(world.lease);
    const std::string on_ended = " WHERE id = " + sql(world.ended_lease);
    const std::string of_charge = " WHERE id = " + sql(charge.id);
    return {
        {"UPDATE accounts SET balance_micros = balance_micros + 1 WHERE id = " + sql(world.available),
         "balance_is_sum_of_transfers", world.available.text()},
        {"UPDATE accounts SET balance_micros = -1 WHERE id = " + sql(world.held), "balance_floor",
         world.held.text()},
        {"UPDATE accounts SET balance_micros = balance_micros + 1 WHERE kind = 'fees'", "sum_of_balances",
         "ledger"},
        {"UPDATE accounts SET balance_micros = balance_micros + 1 WHERE kind = 'fees'", "fee_total",
         "fees account"},
        {"DELETE FROM transfers WHERE id = " + sql(deposit.id), "balance_is_sum_of_transfers",
         external.text()},
        {"UPDATE transfers SET amount_micros = amount_micros + 1" + of_charge, "charge_transfers", lease},
        {"UPDATE transfers SET amount_micros = -amount_micros" + of_charge, "transfer_amount",
         charge.id.text()},
        {"UPDATE transfers SET credit_account_id = debit_account_id" + of_charge, "transfer_accounts",
         charge.id.text()},
        {"UPDATE transfers SET credit_account_id = " + sql(world.order) + of_charge,
         "transfer_account_exists", charge.id.text()},
        {"UPDATE transfers SET credit_organization_id = " + sql(world.stranger) + of_charge,
         "transfer_organization", charge.id.text()},
        {"UPDATE transfers SET reason = 'release'" + of_charge, "transfer_shape", charge.id.text()},
        {"UPDATE transfers SET lease_id = " + sql(world.order) + of_charge, "transfer_lease_exists",
         charge.id.text()},
        {"UPDATE transfers SET lease_id = " + sql(world.ended_lease) + " WHERE id = " + sql(fee.id),
         "fee_transfers", ended},
        {"UPDATE leases SET seller_id = " + sql(world.stranger) + on_lease, "transfer_party",
         charge.id.text()},
        {"UPDATE leases SET organization_id = " + sql(world.stranger) + on_lease, "held_is_sum_of_leases",
         world.held.text()},
        {"UPDATE leases SET charged_micros = charged_micros + 1" + on_lease, "charge_from_usage", lease},
        {"UPDATE leases SET price_micros_per_hour = price_micros_per_hour + 1" + on_lease,
         "numerator_from_usage", lease},
        {"UPDATE lease_segments SET price_micros_per_hour = 1234568", "numerator_from_usage", ended},
        {"UPDATE lease_segments SET price_micros_per_hour = 1234568", "segment_is_the_price", ended},
        {"UPDATE lease_segments SET bid_micros_per_hour = 1", "segment_within_bid", ended + " segment 1"},
        {"UPDATE lease_segments SET from_running_ms = 5", "segment_from_the_start", ended + " segment 1"},
        {"UPDATE lease_segments SET from_running_ms = 100001", "segment_in_running_time",
         ended + " segment 1"},
        {"UPDATE lease_segments SET sequence = 2", "segment_sequence", ended + " segment 2"},
        {"UPDATE lease_segments SET lease_id = " + sql(world.lease), "segments_of_spot_alone", lease},
        {"UPDATE lease_segments SET lease_id = " + sql(world.order), "segment_lease_exists",
         world.order.text().replace(0, 5, "lease") + " segment"},
        {"DELETE FROM lease_segments", "segments_exist", ended},
        {"UPDATE leases SET thousandths = 999" + on_ended, "charge_from_usage", ended},
        {"UPDATE leases SET fee_micros = fee_micros - 1" + on_lease, "fee_of_charge", lease},
        {"UPDATE leases SET fee_ppm = 50001, fee_micros = fee_micros" + on_lease, "fee_of_charge", lease},
        {"UPDATE leases SET running_ms = running_ms + 1" + on_lease, "running_is_accepted_usage", lease},
        {"UPDATE leases SET held_micros = held_micros + 1" + on_lease, "held_from_transfers", lease},
        {"UPDATE leases SET held_micros = 5" + on_ended, "hold_released_at_end", ended},
        {"UPDATE leases SET usage_sha256 = repeat('0', 64)" + on_lease, "usage_digest", lease},
        {"UPDATE leases SET usage_sequence = 3" + on_lease, "usage_last_sequence", lease},
        {"DELETE FROM leases" + on_lease, "transfer_lease_exists", charge.id.text()},
        {"DELETE FROM leases" + on_ended, "receipt_lease_exists", ended + " receipt"},
        {"DELETE FROM leases" + on_lease, "usage_lease_exists", lease + " usage 1"},
        {"DELETE FROM usage_statements WHERE sequence = 1 AND lease_id = " + sql(world.lease),
         "usage_sequence", lease + " usage 2"},
        {"UPDATE usage_statements SET accepted_running_ms = 3600001, clipped_ms = 0 WHERE sequence = 1 AND "
         "lease_id = " +
             sql(world.lease),
         "usage_monotone", lease + " usage 2"},
        {"UPDATE usage_statements SET clipped_ms = clipped_ms + 9 WHERE sequence = 2",
         "usage_statement_running", lease + " usage 2"},
        {"UPDATE usage_statements SET statement = replace(statement, 'running_ms: 3600000', 'running_ms: "
         "3600001')",
         "usage_statement_running", lease + " usage 2"},
        {"UPDATE usage_statements SET statement = statement || ' ' WHERE sequence = 2",
         "usage_statement_form", lease + " usage 2"},
        {"UPDATE usage_statements SET statement = replace(statement, 'epoch: 1', 'epoch: 2') WHERE "
         "sequence = 2",
         "usage_statement_epoch", lease + " usage 2"},
        {"UPDATE usage_statements SET lease_id = " + sql(world.lease) +
             ", sequence = 3 WHERE lease_id = " + sql(world.ended_lease),
         "usage_statement_lease", lease + " usage 3"},
        {"UPDATE usage_statements SET final = true WHERE sequence = 2", "usage_statement_final",
         lease + " usage 2"},
        {"UPDATE usage_statements SET seller_id = " + sql(world.stranger) + " WHERE sequence = 2",
         "usage_seller", lease + " usage 2"},
        {"DELETE FROM receipts", "receipt_exists", ended},
        {"UPDATE receipts SET statement = replace(statement, 'charged_micros: ', 'charged_micros: 1')",
         "receipt_agrees", ended + " receipt charged_micros"},
        {"UPDATE receipts SET statement = replace(statement, 'segment: 1234567', 'segment: 1000000')",
         "receipt_segments", ended + " receipt charge"},
        {"UPDATE leases SET storage_bytes = 0" + on_ended, "numerator_from_usage", ended},
        {"UPDATE leases SET storage_micros_per_gib_month = 730001" + on_ended, "numerator_from_usage",
         ended},
        {"UPDATE receipts SET statement = replace(statement, 'storage_micros: ', 'storage_micros: 1')",
         "receipt_storage", ended + " receipt storage_micros"},
        {"UPDATE receipts SET statement = replace(statement, 'storage_bytes: 1', 'storage_bytes: 2')",
         "receipt_storage", ended + " receipt storage_bytes"},
        {"UPDATE leases SET egress_mib = 101" + on_ended, "traffic_is_accepted_usage", ended},
        {"UPDATE leases SET egress_micros_per_gib = 64001" + on_ended, "numerator_from_usage", ended},
        {"UPDATE leases SET egress_bytes_claimed = 104857599" + on_ended, "usage_traffic_claimed", ended},
        {"UPDATE leases SET egress_mib_max = 99" + on_ended, "usage_traffic_accepted", ended + " usage 1"},
        {"UPDATE usage_statements SET accepted_egress_mib = 1 WHERE sequence = 2", "usage_traffic_accepted",
         lease + " usage 2"},
        {"UPDATE usage_statements SET statement = replace(statement, 'egress_bytes: 1', 'egress_bytes: 2')",
         "usage_traffic_accepted", ended + " usage 1"},
        {"UPDATE usage_statements SET statement = replace(statement, 'egress_bytes: 1', 'egress_bytes: x')",
         "usage_traffic_monotone", ended + " usage 1"},
        {"UPDATE receipts SET statement = replace(statement, 'egress_micros: ', 'egress_micros: 1')",
         "receipt_traffic", ended + " receipt egress_micros"},
        {"UPDATE receipts SET statement = replace(statement, 'egress_mib: 1', 'egress_mib: 2')",
         "receipt_traffic", ended + " receipt egress_mib"},
        {"UPDATE receipts SET statement = replace(statement, 'completed', 'outbid')", "receipt_agrees",
         ended + " receipt end_reason"},
        {"UPDATE leases SET ended_at = ended_at + 1" + on_ended, "receipt_agrees",
         ended + " receipt ended_at"},
        {"UPDATE reservations SET deposit_micros = deposit_micros + 1", "deposit_from_transfers",
         world.reservation.text()},
        {"UPDATE reservations SET bond_micros = 1", "bond_from_transfers", world.reservation.text()},
        {"UPDATE reservations SET kept_micros = 1", "kept_transfers", world.reservation.text()},
        {"UPDATE reservations SET penalty_micros = 1", "penalty_transfers", world.reservation.text()},
        {"UPDATE reservations SET state = 'cancelled'", "deposit_released_at_end",
         world.reservation.text()},
        {"UPDATE reservations SET organization_id = " + sql(world.stranger), "held_is_sum_of_leases",
         world.held.text()},
        {"UPDATE journal SET record = record || ' ' WHERE seq = 2", "journal_chain", "journal main/2"},
        {"DELETE FROM journal WHERE seq = 2", "journal_sequence", "journal main/3"},
        {"DELETE FROM journal WHERE seq = 3", "journal_head", "journal main"},
        {"UPDATE journal SET epoch = 0 WHERE seq = 3", "journal_epoch", "journal main/3"},
        {"UPDATE market_leader SET chain = repeat('0', 64)", "journal_head_chain", "journal main"},
    };
}

/// A database whose every rule is out of the way, and which can be brought back to what it was.
class Tampered {
  public:
    explicit Tampered(const std::string& url) : superuser_({.url = PostgresFixture::as_superuser(url)}) {
        // Triggers and foreign keys sleep in a session that replays a replica; the rest has to go.
        superuser_.exec("SET session_replication_role = replica; CREATE SCHEMA saved");
        superuser_.exec(
            "DO $$ DECLARE rule record; BEGIN FOR rule IN SELECT conname, conrelid::regclass AS name FROM "
            "pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace AND conislocal "
            "LOOP "
            "EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', rule.name, rule.conname); END LOOP; END "
            "$$");
        for (const char* table : tables)
            superuser_.exec(fmt::format("CREATE TABLE saved.{0} AS TABLE public.{0}", table));
    }

    void plant(const std::string& statement) {
        for (const char* table : tables)
            superuser_.exec(
                fmt::format("DELETE FROM public.{0}; INSERT INTO public.{0} TABLE saved.{0}", table));
        CHECK(superuser_.exec(statement).affected_rows() > 0);
    }

  private:
    static constexpr std::array tables = {"accounts",         "transfers",      "leases",
                                          "usage_statements", "receipts",       "journal",
                                          "market_leader",    "lease_segments", "reservations"};
    Connection superuser_;
};

TEST_CASE("a correct ledger is proved", "[proof]") {
    SeededDatabase database;
    const ProofRun run = prove(database.url);
    INFO(run.output);
    CHECK(run.status == 0);
    CHECK(run.json["balanced"] == true);
    CHECK(run.json["transfers"] == database.world.batch.changes.transfers.inserts.size());
    CHECK(run.json["leases"] == 2);
    CHECK(run.json["findings"].empty());
    const ProofRun table = run_proof("--database-url \"" + database.url + "\"");
    CHECK(table.status == 0);
    CHECK_THAT(table.output, Catch::Contains("the ledger is balanced"));
}

TEST_CASE("an empty ledger is proved, and so is one whose journal begins at an anchor", "[proof]") {
    CHECK(prove(PostgresFixture::instance().fresh_database()).status == 0);
    SeededDatabase database;
    REQUIRE(database.commit({}).outcome == engine::CommitOutcome::committed);
    Connection superuser({.url = PostgresFixture::as_superuser(database.url)});
    superuser.exec(
        "INSERT INTO journal_anchors SELECT stream, seq, chain, at FROM journal WHERE seq = 1; "
        "DELETE FROM journal WHERE seq = 1");
    const ProofRun run = prove(database.url);
    INFO(run.output);
    CHECK(run.status == 0);
}

TEST_CASE("every planted edit is named with its object", "[proof]") {
    SeededDatabase database;
    for (int i = 0; i < 2; ++i)
        REQUIRE(database.commit({}).outcome == engine::CommitOutcome::committed);
    const std::vector<Edit> all = edits(database.world);
    REQUIRE(all.size() >= 20);
    Tampered tampered(database.url);
    for (const Edit& edit : all) {
        tampered.plant(edit.statement);
        const ProofRun run = prove(database.url);
        INFO(edit.statement);
        INFO(run.output);
        CHECK(run.status == 1);
        REQUIRE(run.json.contains("findings"));
        CHECK(run.json["balanced"] == false);
        bool named = false;
        for (const auto& finding : run.json["findings"])
            named = named || (finding["check"] == edit.check && finding["object"] == edit.object);
        INFO(edit.check << " " << edit.object);
        CHECK(named);
    }
}

TEST_CASE("the proof tells a wrong call from a database it cannot read", "[proof]") {
    CHECK(run_proof("--nonsense").status == 2);
    CHECK(run_proof("--json").status == 2);
    CHECK(run_proof("--help").status == 0);
    CHECK(run_proof("--database-url host=/nonexistent").status == 4);
    CHECK(run_proof("--database-url \"" + PostgresFixture::instance().empty_database() + "\"").status == 4);
}

TEST_CASE("the proof shares no code with the server", "[proof]") {
    for (const char* file :
         {"main.cpp", "source.cpp", "check_transfers.cpp", "check_leases.cpp", "check_journal.cpp",
          "check_reservations.cpp", "text.cpp", "model.hpp", "text.hpp", "source.hpp", "checks.hpp"}) {
        INFO(file);
        std::ifstream source(fallow::testing::source_dir() + "/server/proof/" + file);
        REQUIRE(source);
        for (std::string line; std::getline(source, line);) {
            if (line.starts_with("#include \"")) CHECK(line.find('/') == std::string::npos);
        }
    }
}

}  // namespace
}  // namespace fallow::test

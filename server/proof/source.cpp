#include "source.hpp"

#include <pqxx/pqxx>
#include <string>

namespace fallow_proof {
namespace {

constexpr const char* rows_per_fetch = "20000";

constexpr const char* leases_sql =
    "SELECT id, order_id, organization_id, seller_id, host_id, listing_id, state, coalesce(end_reason, "
    "''), epoch, "
    "price_micros_per_hour, thousandths, fee_ppm, numerator, running_ms, charged_micros, fee_micros, "
    "held_micros, "
    "usage_sequence, usage_sha256, array_to_string(card_ids, ','), "
    "coalesce(to_char(timestamp 'epoch' + running_at * interval '1 ms', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), "
    "'none'), "
    "coalesce(to_char(timestamp 'epoch' + ended_at * interval '1 ms', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"'), 'none'), spot_floor_micros_per_hour IS NOT NULL, "
    "storage_bytes, storage_micros_per_gib_month, egress_micros_per_gib, egress_mib_max, egress_mib, "
    "egress_bytes_claimed "
    "FROM leases";

constexpr const char* reservations_sql =
    "SELECT id, organization_id, seller_id, state IN ('booked', 'started'), fee_ppm, deposit_micros, "
    "bond_micros, kept_micros, penalty_micros FROM reservations";

constexpr const char* usage_sql =
    "SELECT lease_id, sequence, organization_id, seller_id, statement, "
    "encode(sha256(convert_to(statement, 'UTF8')), 'hex'), accepted_running_ms, clipped_ms, final, "
    "accepted_egress_mib FROM usage_statements ORDER BY lease_id, sequence";

constexpr const char* transfers_sql =
    "SELECT id, debit_account_id, credit_account_id, debit_organization_id, credit_organization_id, "
    "amount_micros, "
    "reason, lease_id, reservation_id FROM transfers ORDER BY at, id";

constexpr const char* journal_sql =
    "SELECT journal.stream, journal.seq, journal.epoch, journal.chain, "
    "encode(sha256(convert_to(coalesce(lag("
    "journal.chain) OVER (PARTITION BY journal.stream ORDER BY journal.seq), journal_anchors.chain, '') || "
    "journal.record, 'UTF8')), 'hex') FROM journal LEFT JOIN journal_anchors USING (stream) "
    "ORDER BY journal.stream, journal.seq";

std::string text(const pqxx::field& cell) {
    return cell.is_null() ? std::string() : std::string(cell.c_str());
}
std::int64_t number(const pqxx::field& cell) {
    return cell.as<std::int64_t>();
}
std::optional<std::string> maybe(const pqxx::field& cell) {
    return cell.is_null() ? std::nullopt : std::optional<std::string>(cell.c_str());
}

std::vector<std::string> split(const std::string& list) {
    std::vector<std::string> parts;
    std::size_t start = 0;
    while (start < list.size()) {
        const auto end = std::min(list.find(',', start), list.size());
        parts.push_back(list.substr(start, end - start));
        start = end + 1;
    }
    return parts;
}

Lease lease_from(const pqxx::row& row) {
    Lease lease;
    lease.id = text(row[0]);
    lease.order = text(row[1]);
    lease.renter = text(row[2]);
    lease.seller = text(row[3]);
    lease.host = text(row[4]);
    lease.listing = text(row[5]);
    lease.state = text(row[6]);
    lease.end_reason = text(row[7]);
    lease.epoch = number(row[8]);
    lease.price = number(row[9]);
    lease.thousandths = number(row[10]);
    lease.fee_ppm = number(row[11]);
    lease.numerator = text(row[12]);
    lease.running_ms = number(row[13]);
    lease.charged = number(row[14]);
    lease.fee = number(row[15]);
    lease.held = number(row[16]);
    lease.usage_sequence = number(row[17]);
    lease.usage_sha256 = maybe(row[18]);
    lease.cards = split(text(row[19]));
    lease.started_at = text(row[20]);
    lease.ended_at = text(row[21]);
    lease.is_spot = row[22].as<bool>();
    lease.storage_bytes = number(row[23]);
    lease.storage_price = number(row[24]);
    lease.egress_price = number(row[25]);
    if (!row[26].is_null()) lease.egress_mib_max = number(row[26]);
    lease.egress_mib = number(row[27]);
    lease.egress_bytes_claimed = number(row[28]);
    return lease;
}

}  // namespace

struct Source::Session {
    explicit Session(const std::string& url) : connection(url), channel(connection) {
        channel.exec(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL ROLE fallow_proof; "
            "SET LOCAL statement_timeout = 0; SET LOCAL search_path = public");
    }

    template <class Visit>
    void each(const std::string& sql, Visit&& visit) {
        channel.exec("DECLARE rows NO SCROLL CURSOR FOR " + sql);
        while (true) {
            const pqxx::result piece = channel.exec("FETCH " + std::string(rows_per_fetch) + " FROM rows");
            for (const auto& row : piece)
                visit(row);
            if (piece.empty()) break;
        }
        channel.exec("CLOSE rows");
    }

    pqxx::connection connection;
    pqxx::nontransaction channel;
};

Source::Source(const std::string& url) : session_(std::make_unique<Session>(url)) {}
Source::~Source() = default;

Ledger Source::read_ledger() {
    Ledger ledger;
    session_->each(
        "SELECT id, organization_id, kind, balance_micros FROM accounts", [&](const pqxx::row& row) {
            ledger.accounts[text(row[0])] = {text(row[0]), text(row[1]), text(row[2]), number(row[3])};
        });
    session_->each(leases_sql, [&](const pqxx::row& row) {
        Lease lease = lease_from(row);
        ledger.leases.emplace(lease.id, std::move(lease));
    });
    session_->each(reservations_sql, [&](const pqxx::row& row) {
        Reservation reservation;
        reservation.id = text(row[0]);
        reservation.renter = text(row[1]);
        reservation.seller = text(row[2]);
        reservation.is_open = row[3].as<bool>();
        reservation.fee_ppm = number(row[4]);
        reservation.deposit = number(row[5]);
        reservation.bond = number(row[6]);
        reservation.kept = number(row[7]);
        reservation.penalty = number(row[8]);
        ledger.reservations.emplace(reservation.id, std::move(reservation));
    });
    session_->each(usage_sql, [&](const pqxx::row& row) {
        Usage usage{number(row[1]), text(row[2]),   text(row[3]),      text(row[4]),  text(row[5]),
                    number(row[6]), number(row[7]), row[8].as<bool>(), number(row[9])};
        const auto lease = ledger.leases.find(text(row[0]));
        if (lease == ledger.leases.end()) {
            ledger.orphaned_usage.emplace_back(text(row[0]), std::move(usage));
        } else {
            lease->second.usage.push_back(std::move(usage));
        }
    });
    session_->each(
        "SELECT lease_id, sequence, from_running_ms, price_micros_per_hour, bid_micros_per_hour "
        "FROM lease_segments ORDER BY lease_id, sequence",
        [&](const pqxx::row& row) {
            const auto lease = ledger.leases.find(text(row[0]));
            if (lease == ledger.leases.end())
                ledger.orphaned_segments.push_back(text(row[0]));
            else
                lease->second.segments.push_back(
                    {number(row[1]), number(row[2]), number(row[3]), number(row[4])});
        });
    session_->each("SELECT lease_id, organization_id, seller_id, statement FROM receipts",
                   [&](const pqxx::row& row) {
                       const auto lease = ledger.leases.find(text(row[0]));
                       if (lease == ledger.leases.end()) {
                           ledger.orphaned_receipts.push_back(text(row[0]));
                       } else {
                           lease->second.receipt = Receipt{text(row[1]), text(row[2]), text(row[3])};
                       }
                   });
    session_->each(
        "SELECT market, seq, chain FROM market_leader UNION ALL SELECT stream, seq, chain FROM "
        "journal_streams",
        [&](const pqxx::row& row) {
            ledger.heads[text(row[0])] = {number(row[1]), text(row[2])};
        });
    session_->each("SELECT stream, seq, chain FROM journal_anchors", [&](const pqxx::row& row) {
        ledger.anchors[text(row[0])] = {number(row[1]), text(row[2])};
    });
    return ledger;
}

void Source::each_transfer(const std::function<void(const Transfer&)>& visit) {
    session_->each(transfers_sql, [&](const pqxx::row& row) {
        visit({text(row[0]), text(row[1]), text(row[2]), text(row[3]), text(row[4]), number(row[5]),
               text(row[6]), maybe(row[7]), maybe(row[8])});
    });
}

void Source::each_journal_row(const std::function<void(const JournalRow&)>& visit) {
    session_->each(journal_sql, [&](const pqxx::row& row) {
        visit({text(row[0]), number(row[1]), number(row[2]), text(row[3]), text(row[4])});
    });
}

}  // namespace fallow_proof

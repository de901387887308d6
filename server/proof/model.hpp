// proof/: fallow-ledger-proof, which recomputes the ledger of a database from its raw rows and names every
// row that does not follow from the others. It shares no code with the server on purpose, so that a mistake
// there is not repeated here; it links libpqxx and nothing else, reads in one snapshot, and changes
// nothing.
//
// model.hpp: the raw rows, as the database has them, and what is said about them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace fallow_proof {

__extension__ typedef __int128 Wide;

/// One thing that does not follow from the rest.
struct Finding {
    std::string check;   ///< "balance_is_sum_of_transfers"
    std::string object;  ///< "account_…", as the API writes ids
    std::string expected;
    std::string found;
};

struct Account {
    std::string id;  ///< uuid, as all ids here
    std::string organization;
    std::string kind;
    std::int64_t balance = 0;
};

struct Transfer {
    std::string id;
    std::string debit, credit;
    std::string debit_organization, credit_organization;
    std::int64_t amount = 0;
    std::string reason;
    std::optional<std::string> lease;
    std::optional<std::string> reservation;
};

struct Usage {
    std::int64_t sequence = 0;
    std::string renter, seller;
    std::string statement;
    std::string sha256;  ///< of the statement, as the database computes it
    std::int64_t accepted_ms = 0;
    std::int64_t clipped_ms = 0;
    bool final = false;
    std::int64_t accepted_egress_mib = 0;
};

/// A lease's price from a point of its running time on.
struct Segment {
    std::int64_t sequence = 0;
    std::int64_t from_ms = 0;
    std::int64_t price = 0;
    std::int64_t bid = 0;
};

struct Receipt {
    std::string renter, seller;
    std::string statement;
};

struct Lease {
    std::string id, order, renter, seller, host, listing;
    std::string state;
    std::string end_reason;  ///< empty when there is none
    std::int64_t epoch = 0;
    std::int64_t price = 0;  ///< micros per card-hour
    std::int64_t thousandths = 0;
    std::int64_t fee_ppm = 0;
    std::string numerator;
    std::int64_t running_ms = 0;
    std::int64_t charged = 0;
    std::int64_t fee = 0;
    std::int64_t held = 0;
    std::int64_t usage_sequence = 0;
    std::optional<std::string> usage_sha256;
    std::string started_at;  ///< RFC 3339, or "none"
    std::string ended_at;
    std::vector<std::string> cards;
    std::int64_t storage_bytes = 0;
    std::int64_t storage_price = 0;  ///< micros per GiB and month
    std::int64_t egress_price = 0;   ///< micros per GiB
    std::optional<std::int64_t> egress_mib_max;
    std::int64_t egress_mib = 0;
    std::int64_t egress_bytes_claimed = 0;

    bool is_spot = false;

    std::vector<Usage> usage;       ///< by sequence
    std::vector<Segment> segments;  ///< of a spot lease, by sequence
    std::optional<Receipt> receipt;

    // Sums of the transfers that name this lease.
    Wide holds = 0, releases = 0, charges = 0, fees = 0;
};

struct Reservation {
    std::string id, renter, seller;
    bool is_open = false;  ///< booked or started
    std::int64_t fee_ppm = 0;
    std::int64_t deposit = 0;
    std::int64_t bond = 0;
    std::int64_t kept = 0;
    std::int64_t penalty = 0;

    // Sums of the transfers that name this reservation.
    Wide reserves = 0, unreserves = 0, kepts = 0, kept_fees = 0, bonds = 0, unbonds = 0, penalties = 0;
};

struct JournalRow {
    std::string stream;
    std::int64_t seq = 0;
    std::int64_t epoch = 0;
    std::string chain;
    std::string computed;  ///< SHA-256 over the chain of the record before and this record
};

struct StreamHead {
    std::int64_t seq = 0;
    std::string chain;
};

/// Everything but the transfers and the journal, which are read row by row.
struct Ledger {
    std::unordered_map<std::string, Account> accounts;
    std::map<std::string, Lease> leases;
    std::map<std::string, Reservation> reservations;
    std::vector<std::pair<std::string, Usage>>
        orphaned_usage;  ///< with the id of a lease that is not there
    std::vector<std::string> orphaned_receipts;
    std::vector<std::string> orphaned_segments;  ///< ids of leases that are not there
    std::map<std::string, StreamHead> heads;     ///< of every stream of the journal
    std::map<std::string, StreamHead>
        anchors;  ///< where a stream starts, when its oldest records were dropped
    std::int64_t transfers = 0;
};

using Report = std::function<void(Finding)>;

}  // namespace fallow_proof

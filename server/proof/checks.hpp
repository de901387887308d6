// What must follow from what.
#pragma once

#include "model.hpp"
#include "source.hpp"

namespace fallow_proof {

/// Every transfer by itself, every balance from the transfers, and the sums over all. Fills the leases'
/// sums.
void check_transfers(Ledger& ledger, Source& source, const Report& report);
/// Usage against its statements, charges against usage, holds and transfers against charges, receipts
/// against leases.
void check_leases(const Ledger& ledger, const Report& report);
/// Deposits, bonds, what was kept and paid, against the transfers.
void check_reservations(const Ledger& ledger, const Report& report);
/// The journal's chain, without a gap from its anchor to its head.
void check_journal(const Ledger& ledger, Source& source, const Report& report);

}  // namespace fallow_proof

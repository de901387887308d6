#include "checks.hpp"
#include "text.hpp"

namespace fallow_proof {
namespace {

class ReservationCheck {
  public:
    ReservationCheck(const Reservation& row, const Report& report)
        : row_(row), report_(report), name_(id_text("reservation", row.id)) {}

    /// What is held, kept and paid is what the transfers that name the reservation come to.
    void run() {
        expect("deposit_from_transfers", row_.reserves - row_.unreserves, row_.deposit);
        expect("bond_from_transfers", row_.bonds - row_.unbonds - row_.penalties, row_.bond);
        expect("kept_transfers", row_.kept, row_.kepts + row_.kept_fees);
        expect("kept_fee_of_kept", static_cast<Wide>(row_.kept) * row_.fee_ppm / 1'000'000, row_.kept_fees);
        expect("penalty_transfers", row_.penalty, row_.penalties);
        if (row_.is_open) return;
        expect("deposit_released_at_end", 0, row_.deposit);
        expect("bond_released_at_end", 0, row_.bond);
    }

  private:
    void expect(const char* check, Wide expected, Wide found) {
        if (expected != found) report_({check, name_, decimal(expected), decimal(found)});
    }

    const Reservation& row_;
    const Report& report_;
    const std::string name_;
};

}  // namespace

void check_reservations(const Ledger& ledger, const Report& report) {
    for (const auto& [id, row] : ledger.reservations)
        ReservationCheck(row, report).run();
}

}  // namespace fallow_proof

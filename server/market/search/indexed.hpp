// Which rows search is made of: all that a State keeps, but orders, leases, jobs and money, which change
// most and are asked for elsewhere, and reservations: their bookings, which end with them, say what is
// taken.
#pragma once

#include <type_traits>

#include "market/transaction.hpp"

namespace fallow::market::search {

template <class Row, class... Others>
inline constexpr bool is_one_of = (std::is_same_v<Row, Others> || ...);

template <class Row>
concept Indexed = requires {
    typename KeyOf<Row>::type;
}
&&!is_one_of<Row, Order, Lease, LeaseSegment, Job, Reservation, ledger::Account>;

[[nodiscard]] inline bool is_indexed(const AnyRow& row) {
    return std::visit([]<class Row>(const Row&) { return Indexed<Row>; }, row);
}

}  // namespace fallow::market::search

// Bodies of the routes of reservations.
#pragma once

#include <string_view>

#include "auth/signing.hpp"
#include "base/result.hpp"
#include "market/commands.hpp"

namespace fallow::api {

/// A reservation that brings a quote names no price limit, as an order does.
[[nodiscard]] Result<market::Reserve> decode_reserve(std::string_view body, const auth::SigningKey& key);
[[nodiscard]] Result<market::CancelReservation> decode_cancel_reservation(std::string_view body,
                                                                          ReservationId reservation);
[[nodiscard]] Result<market::OfferReservation> decode_offer(std::string_view body,
                                                            ReservationId reservation);
[[nodiscard]] Result<market::BuyReservation> decode_buy(std::string_view body, ReservationId reservation);

}  // namespace fallow::api

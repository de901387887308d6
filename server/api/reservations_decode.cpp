#include "api/reservations_decode.hpp"

#include "api/orders_decode.hpp"

namespace fallow::api {
namespace {

market::Reserve read_reserve(FieldReader& reader, const auth::SigningKey& key) {
    market::Reserve command;
    command.requirements = read_requirements(reader);
    command.count = reader.integer32_or("count", 1, 1, limits::cards_per_order_max);
    command.quote = read_quote(reader, key);
    if (!command.quote) command.price_max = read_price_max(reader);
    command.term = Millis(reader.integer("term_ms", limits::term_ms_min, limits::term_ms_max));
    command.starts_at = reader.time("starts_at");
    command.end_use = reader.optional_named<market::EndUse>("end_use");
    return command;
}

market::OfferReservation read_offer(FieldReader& reader, ReservationId reservation) {
    market::OfferReservation command;
    command.reservation = reservation;
    if (const auto price = reader.optional_integer("price_micros", 0, limits::amount_micros_max))
        command.price = ledger::Micros(*price);
    command.from = reader.optional_time("from");
    if (command.from && !command.price)
        reader.fail(ErrorCode::missing_field, "price_micros",
                    "Give a price, or nothing to take the offer back.");
    return command;
}

}  // namespace

Result<market::Reserve> decode_reserve(std::string_view body, const auth::SigningKey& key) {
    return decode_body(body, [&](FieldReader& reader) { return read_reserve(reader, key); });
}

Result<market::CancelReservation> decode_cancel_reservation(std::string_view body,
                                                            ReservationId reservation) {
    return decode_body(body, [&](FieldReader& reader) {
        return market::CancelReservation{reservation, reader.boolean_or("breach", false)};
    });
}

Result<market::OfferReservation> decode_offer(std::string_view body, ReservationId reservation) {
    return decode_body(body, [&](FieldReader& reader) { return read_offer(reader, reservation); });
}

Result<market::BuyReservation> decode_buy(std::string_view body, ReservationId reservation) {
    return decode_body(body, [&](FieldReader& reader) {
        return market::BuyReservation{
            reservation, ledger::Micros(reader.integer("price_max_micros", 0, limits::amount_micros_max))};
    });
}

}  // namespace fallow::api

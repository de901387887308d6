// From outcomes to JSON, one function for each kind of object that commands answer with, and the two shapes
// that most decoders end in.
#pragma once

#include <string>
#include <utility>

#include "api/route.hpp"

namespace fallow::api {

[[nodiscard]] std::string encode_organization(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_host(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_listings(const market::Outcome& outcome, const Encoding&);
[[nodiscard]] std::string encode_listing(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_order(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_reservation(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_quote(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_order_placed(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_lease(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_job(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_transfer(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_withdrawal(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_fee(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_spot_step(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_freeze(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_policy(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_approval(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_cards(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_lease_report(const market::Outcome& outcome, const Encoding& encoding);
[[nodiscard]] std::string encode_usage(const market::Outcome& outcome, const Encoding& encoding);
/// For a 204.
[[nodiscard]] std::string encode_nothing(const market::Outcome& outcome, const Encoding& encoding);

[[nodiscard]] inline Result<Decoded> command(market::Command made) {
    return Decoded{std::move(made), {}, {}, {}, {}};
}
/// A command that its path says in full; the body must be {} or nothing.
[[nodiscard]] Result<Decoded> plain_command(const Call& call, market::Command made);

}  // namespace fallow::api

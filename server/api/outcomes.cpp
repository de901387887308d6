#include "api/outcomes.hpp"

#include "api/accounts_decode.hpp"
#include "api/accounts_json.hpp"
#include "api/market_json.hpp"
#include "api/quote_document.hpp"

namespace fallow::api {
namespace {

/// Every command has one kind of outcome; another one is a programming error.
template <class Row>
const Row& row_in(const market::Outcome& outcome) {
    const Row* row = std::get_if<Row>(&outcome);
    FALLOW_ASSERT(row != nullptr);
    return *row;
}

}  // namespace

std::string encode_organization(const market::Outcome& outcome, const Encoding&) {
    return to_json(row_in<market::Organization>(outcome));
}

std::string encode_host(const market::Outcome& outcome, const Encoding&) {
    return to_json(row_in<market::Host>(outcome));
}

std::string encode_listing(const market::Outcome& outcome, const Encoding& encoding) {
    return to_json(row_in<market::ListingView>(outcome), encoding.viewer);
}

std::string encode_listings(const market::Outcome& outcome, const Encoding& encoding) {
    const auto& changed = row_in<market::ListingsChanged>(outcome);
    JsonWriter json(128 + 1024 * changed.listings.size());
    json.begin_object().field("dry_run", changed.dry_run).key("items").begin_array();
    for (const market::ListingView& view : changed.listings)
        write(json, view, encoding.viewer);
    json.end_array().end_object();
    return json.take();
}

std::string encode_order(const market::Outcome& outcome, const Encoding&) {
    return to_json(row_in<market::Order>(outcome));
}

std::string encode_reservation(const market::Outcome& outcome, const Encoding& encoding) {
    return to_json(row_in<market::Reservation>(outcome), encoding.viewer);
}

std::string encode_quote(const market::Outcome& outcome, const Encoding& encoding) {
    return quote_document(row_in<ledger::QuoteFacts>(outcome), *encoding.key);
}

std::string encode_order_placed(const market::Outcome& outcome, const Encoding& encoding) {
    const auto& placed = row_in<market::OrderPlaced>(outcome);
    JsonWriter json(2048 + encoding.document.size());
    json.begin_object().key("order");
    write(json, placed.order);
    json.key("lease");
    if (placed.lease)
        write(json, *placed.lease, encoding.viewer);
    else
        json.null();
    json.key("job");
    if (placed.job)
        write(json, *placed.job, encoding.document);
    else
        json.null();
    if (!placed.members.empty()) {
        json.key("members").begin_array();
        for (const market::Lease& lease : placed.members)
            write(json, lease, encoding.viewer);
        json.end_array();
    }
    json.end_object();
    return json.take();
}

std::string encode_lease(const market::Outcome& outcome, const Encoding& encoding) {
    return to_json(row_in<market::Lease>(outcome), encoding.viewer);
}

std::string encode_job(const market::Outcome& outcome, const Encoding& encoding) {
    return to_json(row_in<market::Job>(outcome), encoding.document);
}

std::string encode_transfer(const market::Outcome& outcome, const Encoding&) {
    return to_json(view_of(row_in<ledger::Transfer>(outcome)));
}

std::string encode_withdrawal(const market::Outcome& outcome, const Encoding& encoding) {
    return to_json(view_of(row_in<ledger::Transfer>(outcome), encoding.account));
}

std::string encode_fee(const market::Outcome& outcome, const Encoding&) {
    JsonWriter json;
    json.begin_object().field("fee_ppm", row_in<market::Settings>(outcome).fee_ppm).end_object();
    return json.take();
}

std::string encode_spot_step(const market::Outcome& outcome, const Encoding&) {
    JsonWriter json;
    json.begin_object()
        .field("step_micros_per_hour", row_in<market::Settings>(outcome).spot_step)
        .end_object();
    return json.take();
}

std::string encode_freeze(const market::Outcome& outcome, const Encoding&) {
    return to_json(row_in<market::Freeze>(outcome));
}

std::string encode_policy(const market::Outcome& outcome, const Encoding&) {
    return to_json(row_in<market::Policy>(outcome));
}

std::string encode_approval(const market::Outcome& outcome, const Encoding&) {
    return to_json(row_in<market::PolicyApproval>(outcome));
}

std::string encode_cards(const market::Outcome& outcome, const Encoding&) {
    JsonWriter json;
    json.begin_object().key("cards").begin_array();
    for (const market::Card& card : row_in<market::InventoryAccepted>(outcome).cards)
        write(json, card);
    json.end_array().end_object();
    return json.take();
}

std::string encode_lease_report(const market::Outcome& outcome, const Encoding&) {
    // Nothing but Done is left of a lease that was settled and forgotten, and whose `gone` is repeated.
    market::Lease forgotten;
    forgotten.state = market::LeaseState::ended;
    forgotten.nonce = std::string(32, '0');
    const market::Lease& lease =
        std::holds_alternative<Done>(outcome) ? forgotten : row_in<market::Lease>(outcome);
    JsonWriter json;
    json.begin_object().key("lease").begin_object();
    json.field("state", lease.state).field("end_reason", lease.end_reason).end_object();
    json.field("nonce", lease.nonce).end_object();
    return json.take();
}

std::string encode_usage(const market::Outcome& outcome, const Encoding&) {
    const auto& accepted = row_in<market::UsageAccepted>(outcome);
    JsonWriter json;
    json.begin_object()
        .field("nonce", accepted.lease.nonce)
        .field("sequence", accepted.usage.sequence)
        .field("accepted_running_ms", accepted.usage.accepted_running)
        .field("accepted_egress_mib", accepted.usage.accepted_egress_mib)
        .field("paid_until", accepted.lease.paid_until)
        .end_object();
    return json.take();
}

std::string encode_nothing(const market::Outcome&, const Encoding&) {
    return {};
}

Result<Decoded> plain_command(const Call& call, market::Command made) {
    if (const Status good = decode_nothing(call.request().body); !good) return good.error();
    return command(std::move(made));
}

}  // namespace fallow::api

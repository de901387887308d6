#include "market/decide.hpp"

#include <fmt/format.h>

#include "market/handlers.hpp"
#include "market/pools.hpp"

namespace fallow::market {
namespace {

template <class Row>
Result<const Row*> find_for(const Transaction& tx, typename KeyOf<Row>::type id,
                            OrganizationId Row::*owner) {
    const Row* row = tx.state().find<Row>(id);
    const Caller& caller = tx.context().caller;
    if (row == nullptr || !(caller.admin || row->*owner == caller.organization))
        return refuse(ErrorCode::not_found, fmt::format("There is no {} here.", id.text()));
    return row;
}

}  // namespace

Decision decide(State& state, const Command& command, const Context& context) {
    Transaction tx(state, context);
    Result<Outcome> outcome =
        std::visit([&](const auto& specific) { return handle(tx, specific); }, command);
    if (outcome)
        note_spot_changes(tx);
    else
        tx.rollback();
    return Decision{std::move(outcome), tx.take_entries()};
}

Result<const Host*> visible(const Transaction& tx, HostId id) {
    return find_for<Host>(tx, id, &Host::organization);
}
Result<const Listing*> visible(const Transaction& tx, ListingId id) {
    return find_for<Listing>(tx, id, &Listing::organization);
}
Result<const Order*> visible(const Transaction& tx, OrderId id) {
    return find_for<Order>(tx, id, &Order::organization);
}
Result<const Job*> visible(const Transaction& tx, JobId id) {
    return find_for<Job>(tx, id, &Job::organization);
}
Result<const Reservation*> visible(const Transaction& tx, ReservationId id) {
    if (const auto rented = find_for<Reservation>(tx, id, &Reservation::renter)) return rented;
    return find_for<Reservation>(tx, id, &Reservation::seller);
}
Result<const Lease*> visible_to_renter(const Transaction& tx, LeaseId id) {
    return find_for<Lease>(tx, id, &Lease::renter);
}
Result<const Lease*> visible_to_seller(const Transaction& tx, LeaseId id) {
    return find_for<Lease>(tx, id, &Lease::seller);
}

Status check_may_trade(const State& state, OrganizationId organization) {
    if (state.is_frozen(FreezeKind::market, state.rules().market))
        return refuse(ErrorCode::frozen,
                      "The market is frozen by its operator; try again when it is open.");
    if (organization == platform_organization)
        return refuse(ErrorCode::wrong_state,
                      "The operator's own organization does not trade: make an organization that does.");
    const Organization* row = state.find<Organization>(organization);
    if (row == nullptr || row->status == OrganizationStatus::frozen)
        return refuse(ErrorCode::frozen,
                      "The organization is frozen by the operator; ask the operator why.");
    return Done{};
}

Status check_image(const State& state, const std::string& image) {
    const auto at = image.find('@');
    const bool frozen =
        state.is_frozen(FreezeKind::image, image) ||
        (at != std::string::npos && state.is_frozen(FreezeKind::image, image.substr(at + 1)));
    if (frozen)
        return refuse(ErrorCode::frozen, fmt::format("The image {} is frozen by the operator.", image),
                      "/job/image");
    return Done{};
}

}  // namespace fallow::market

#include "agent/scrub_plan.hpp"

#include <algorithm>
#include <optional>

namespace fallow::agent {
namespace {

bool has_card(const LeaseRecord& record, const std::string& uuid) {
    return std::ranges::any_of(record.desired.cards,
                               [&](const LeaseCard& card) { return card.uuid == uuid; });
}

/// A container ends with the first process of its PID namespace, and the kernel lets that one go only when
/// all others of the namespace are gone: so none of them has memory once the exit is known.
bool has_guest(const LeaseSeen& seen, const Observed& observed) {
    const LeaseRecord& r = seen.record;
    if (r.removed) return false;
    if (is_live(find_container(observed, r))) return true;
    if (r.exit || r.failure) return false;
    return r.started || (seen.engine_lane_busy && !seen.preparing);
}

/// By another lease than `but_for`.
bool is_occupied(const std::string& uuid, const Observed& observed, const std::string& but_for) {
    return std::ranges::any_of(observed.leases, [&](const LeaseSeen& seen) {
        return seen.record.desired.lease_id != but_for && has_card(seen.record, uuid) &&
               has_guest(seen, observed);
    });
}

/// While something runs that no record names, nobody knows whose memory it uses.
bool has_stray(const Observed& observed) {
    return std::ranges::any_of(observed.containers, [&](const ContainerSeen& container) {
        return is_live(&container) && std::ranges::none_of(observed.leases, [&](const LeaseSeen& seen) {
                   return find_container(observed, seen.record) == &container;
               });
    });
}

bool is_claimed(const std::string& uuid, const Observed& observed) {
    return std::ranges::any_of(observed.claims,
                               [&](const OwnerClaim& claim) { return claim.uuid == uuid; });
}

/// Since when an owner has waited for nothing but the card's memory, at the latest; nothing while none
/// does.
std::optional<std::int64_t> awaited_since(const std::string& uuid, const Observed& observed) {
    std::optional<std::int64_t> since;
    for (const OwnerClaim& claim : observed.claims)
        if (claim.uuid == uuid && claim.takes_running)
            since = std::min(since.value_or(INT64_MAX), claim.since_boot_ms);
    if (!since) return std::nullopt;
    for (const LeaseSeen& seen : observed.leases)
        if (has_card(seen.record, uuid))
            since = std::max(*since, seen.record.reclaim_until_boot_ms.value_or(0));
    return since;
}

bool is_given_up(const UsedCard& card, const Observed& observed, std::int64_t now) {
    if (is_unscrubbable(card)) return true;
    const auto since = awaited_since(card.uuid, observed);
    return since && now - *since >= owner_waits_ms;
}

const UsedCard* find_used(const Observed& observed, const std::string& uuid) {
    const auto found = std::ranges::find(observed.used_cards, uuid, &UsedCard::uuid);
    return found == observed.used_cards.end() ? nullptr : &*found;
}

}  // namespace

LeftInMemory left_in_memory(const LeaseRecord& lease, const Observed& observed, std::int64_t now) {
    LeftInMemory left;
    for (const LeaseCard& card : lease.desired.cards) {
        const UsedCard* const used = find_used(observed, card.uuid);
        if (used == nullptr || is_occupied(card.uuid, observed, lease.desired.lease_id)) continue;
        const bool is_kept_from_others = used->is_withheld || is_claimed(card.uuid, observed);
        (is_given_up(*used, observed, now) && is_kept_from_others ? left.is_stuck : left.is_due) = true;
    }
    return left;
}

void plan_scrubs(const Observed& observed, std::int64_t now, std::vector<Action>& actions) {
    const bool may_begin = observed.engine_reachable && !has_stray(observed);
    for (const UsedCard& card : observed.used_cards) {
        const auto act = [&](ActionKind kind) {
            Action action{kind, {}, {}};
            action.card_uuid = card.uuid;
            actions.push_back(std::move(action));
        };
        // What the owner uses of it must not be taken away; it is tried again once that is over.
        const bool is_the_owners = is_claimed(card.uuid, observed) && is_given_up(card, observed, now);
        if (card.is_scrubbing) {
            if (is_the_owners) act(ActionKind::abandon_scrub);
            continue;
        }
        if (!may_begin || is_the_owners || now < card.next_try_boot_ms) continue;
        if (!is_occupied(card.uuid, observed, {})) act(ActionKind::scrub);
    }
}

bool may_have_it(const std::string& uuid, const Observed& observed, std::int64_t now) {
    const UsedCard* const used = find_used(observed, uuid);
    if (used == nullptr) return true;
    const auto since = awaited_since(uuid, observed);
    if (since && now - *since >= owner_waits_ms_max) return true;
    return is_given_up(*used, observed, now) && !used->is_scrubbing;
}

}  // namespace fallow::agent

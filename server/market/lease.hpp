// A lease: an order bound to cards for a term at a price. Only `running` bills, and only while proved.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/enum.hpp"
#include "base/ids.hpp"
#include "base/limits.hpp"
#include "base/time.hpp"
#include "ledger/metering.hpp"

namespace fallow::market {

FALLOW_ENUM(LeaseState, allocated, preparing, running, reclaiming, ended)

/// Why a lease ends. The three after `completed` tell how the job's own container failed; the last three
/// what its job had said of itself: that such an exit code passes, or that it is to be ended for this.
FALLOW_ENUM(EndReason, completed, command_failed, out_of_memory, duration_exceeded, cancelled_by_renter,
            outbid, reclaimed_by_owner, term_reached, funds_exhausted, host_lost, image_pull_failed,
            start_failed, start_timeout, host_maintenance, policy_revoked, temporary_failure, unhealthy,
            idle)

/// Why its listing was taken: named by the order or its quote; the lowest ask, and none other at that ask
/// had the cards; of those at that ask, its cards are of one NVLink group, or its host is of one rack with
/// the gang's others, and another would have come before it; the least fragmentation; or as little as
/// another's, and the lowest id.
FALLOW_ENUM(ChosenBy, named, price, fragmentation, lowest_id, nvlink, rack)

struct Lease {
    static constexpr std::string_view table = "leases";
    LeaseId id;
    OrderId order;
    OrganizationId renter;
    OrganizationId seller;
    HostId host;
    ListingId listing;
    std::optional<JobId> job;
    bool pinned =
        false;  ///< an interactive rental, placed without a job: survives an outage, is never requeued
    std::int32_t attempt = 1;
    LeaseState state = LeaseState::allocated;
    std::optional<EndReason> stop_reason;     ///< set when the end was decided; the agent is told to stop
    std::optional<EndReason> end_reason;      ///< set from `reclaiming` on
    ledger::Price price;                      ///< now; locked for the lease's life unless it is spot
    std::optional<ledger::Price> spot_floor;  ///< set: a spot lease, which never costs less
    std::int32_t thousandths = 1000;          ///< of a card, summed over the lease's cards
    std::int32_t fee_ppm = 0;
    Millis term;
    Millis reclaim_notice;
    std::int64_t epoch = 0;  ///< the leadership that allocated it; the agent refuses a lower one
    Time allocated_at;
    std::optional<Time> preparing_at;
    std::optional<Time> running_at;
    std::optional<Time> reclaiming_at;
    std::optional<Time> ended_at;
    std::optional<Time>
        phase_deadline;  ///< what happens at it depends on the state: see the table in leases.cpp
    std::optional<Time>
        reclaim_deadline;  ///< while running, once a stop was decided: the end of notice or grace
    ledger::Meter meter;
    ledger::Micros held;  ///< reserved for this lease and not charged yet
    std::optional<Time> paid_until;
    std::optional<Time> usage_at;  ///< when the last usage statement was accepted, or running began
    std::int64_t usage_sequence = 0;
    std::optional<std::string> usage_sha256;  ///< lower-case hex, of the last accepted statement's bytes
    Millis claimed;                           ///< what the last statement claimed, accepted or not
    std::string nonce;                        ///< the next statement must carry it
    std::optional<std::string> container;
    std::optional<std::string> boot;
    std::optional<std::int32_t> exit_code;
    /// The rules that allowed it: the version, and the rule's name; none where no rule applied.
    std::optional<std::int64_t> policy_version;
    std::optional<std::string> policy_rule;
    bool released = false;  ///< the agent has reported: container gone, storage wiped; the cards are free
    std::int64_t version = 1;
    std::vector<CardId> cards;
    std::optional<Time> ends_by;  ///< the listing's window closes: told to stop then, whatever the term
    std::int32_t rank = 0;        ///< among the leases of its order
    std::int32_t hosts = 1;       ///< how many those are
    std::optional<ChosenBy> chosen_by;  ///< not of spot leases and reservations
    std::int64_t storage_bytes = 0;     ///< reserved for its job; none until it has one
    ledger::Micros storage_price;       ///< of a GiB for a month; locked for the lease's life
    /// Its host goes out of service: told to stop a notice before that.
    std::optional<Time> maintenance_at;
    ledger::Micros egress_price;                 ///< of a GiB sent; locked for the lease's life
    std::optional<std::int64_t> egress_mib_max;  ///< what it may send; none where that costs nothing
    std::int64_t egress_bytes_claimed = 0;       ///< by the last statement, accepted or not

    /// What its running time costs with its cards at `of_cards`, and now.
    [[nodiscard]] ledger::Rate rate_at(ledger::Price of_cards) const {
        return {of_cards, thousandths, ledger::storage_nanos_per_hour(storage_price, storage_bytes)};
    }
    [[nodiscard]] ledger::Rate rate() const { return rate_at(price); }
    /// What it may still send, whose price is held all the time.
    [[nodiscard]] ledger::Traffic traffic_left() const {
        return {egress_price, egress_mib_max ? *egress_mib_max - meter.egress_mib : 0};
    }
    /// What the lease takes of each of its cards.
    [[nodiscard]] std::int32_t thousandths_of_each() const {
        return thousandths / static_cast<std::int32_t>(cards.size());
    }
    [[nodiscard]] bool is_member() const { return hosts > 1; }
    [[nodiscard]] bool is_share() const { return thousandths < limits::thousandths_per_card; }

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("id", row.id);
        visit.field("order_id", row.order);
        visit.field("organization_id", row.renter);
        visit.field("seller_id", row.seller);
        visit.field("host_id", row.host);
        visit.field("listing_id", row.listing);
        visit.field("job_id", row.job);
        visit.field("pinned", row.pinned);
        visit.field("attempt", row.attempt);
        visit.field("state", row.state);
        visit.field("stop_reason", row.stop_reason);
        visit.field("end_reason", row.end_reason);
        visit.field("price_micros_per_hour", row.price);
        visit.field("spot_floor_micros_per_hour", row.spot_floor);
        visit.field("thousandths", row.thousandths);
        visit.field("fee_ppm", row.fee_ppm);
        visit.field("term_ms", row.term);
        visit.field("reclaim_notice_ms", row.reclaim_notice);
        visit.field("epoch", row.epoch);
        visit.field("allocated_at", row.allocated_at);
        visit.field("preparing_at", row.preparing_at);
        visit.field("running_at", row.running_at);
        visit.field("reclaiming_at", row.reclaiming_at);
        visit.field("ended_at", row.ended_at);
        visit.field("phase_deadline", row.phase_deadline);
        visit.field("reclaim_deadline", row.reclaim_deadline);
        visit.field("numerator", row.meter.numerator);
        visit.field("running_ms", row.meter.running);
        visit.field("charged_micros", row.meter.charged);
        visit.field("fee_micros", row.meter.fee);
        visit.field("held_micros", row.held);
        visit.field("paid_until", row.paid_until);
        visit.field("usage_at", row.usage_at);
        visit.field("usage_sequence", row.usage_sequence);
        visit.field("usage_sha256", row.usage_sha256);
        visit.field("claimed_ms", row.claimed);
        visit.field("nonce", row.nonce);
        visit.field("container", row.container);
        visit.field("boot", row.boot);
        visit.field("exit_code", row.exit_code);
        visit.field("policy_version", row.policy_version);
        visit.field("policy_rule", row.policy_rule);
        visit.field("released", row.released);
        visit.field("version", row.version);
        visit.field("card_ids", row.cards);
        visit.field("ends_by", row.ends_by);
        visit.field("rank", row.rank);
        visit.field("hosts", row.hosts);
        visit.field("chosen_by", row.chosen_by);
        visit.field("storage_bytes", row.storage_bytes);
        visit.field("storage_micros_per_gib_month", row.storage_price);
        visit.field("maintenance_at", row.maintenance_at);
        visit.field("egress_micros_per_gib", row.egress_price);
        visit.field("egress_mib_max", row.egress_mib_max);
        visit.field("egress_mib", row.meter.egress_mib);
        visit.field("egress_bytes_claimed", row.egress_bytes_claimed);
    }
};

/// Which cards a lease holds. In the database this row, and nothing else, moves cards.used.
struct LeaseCard {
    static constexpr std::string_view table = "lease_cards";
    LeaseId lease;
    CardId card;
    std::int32_t thousandths = 1000;
    bool released = false;

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("lease_id", row.lease);
        visit.key("card_id", row.card);
        visit.field("thousandths", row.thousandths);
        visit.field("released", row.released);
    }
};

/// One accepted usage statement, kept verbatim.
struct Usage {
    static constexpr std::string_view table = "usage_statements";
    LeaseId lease;
    std::int64_t sequence = 0;
    OrganizationId renter;
    OrganizationId seller;
    std::string statement;
    std::string signature;    ///< base64, by the host's key
    Millis accepted_running;  ///< cumulative
    Millis clipped;           ///< claimed by this statement and not accepted
    bool final = false;
    Time accepted_at;
    std::int64_t accepted_egress_mib = 0;  ///< cumulative

    template <class Row, class Visitor>
    static void describe(Row& row, Visitor&& visit) {
        visit.key("lease_id", row.lease);
        visit.key("sequence", row.sequence);
        visit.field("organization_id", row.renter);
        visit.field("seller_id", row.seller);
        visit.field("statement", row.statement);
        visit.field("signature", row.signature);
        visit.field("accepted_running_ms", row.accepted_running);
        visit.field("clipped_ms", row.clipped);
        visit.field("final", row.final);
        visit.field("accepted_at", row.accepted_at);
        visit.field("accepted_egress_mib", row.accepted_egress_mib);
    }
};

}  // namespace fallow::market

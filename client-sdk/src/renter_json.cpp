#include "codec.hpp"
#include "job_fields.hpp"
#include "requirements_fields.hpp"

namespace fallow::sdk {

template <>
struct Fields<JobSpec> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("image", value.image);
        visit("command", value.command);
        visit("env", value.env);
        visit("inputs", value.inputs);
        visit("outputs", value.outputs);
        visit("max_duration_ms", value.max_duration_ms);
        visit("attempts_max", value.attempts_max);
        visit("memory_bytes", value.memory_bytes);
        visit("cpu_millis", value.cpu_millis);
        visit("pids_max", value.pids_max);
        visit("disk_bytes", value.disk_bytes);
        visit("checkpoint", value.checkpoint);
        visit_terms(visit, value);
    }
};

template <>
struct Fields<NewQuote> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("requirements", value.requirements);
        visit("count", value.count);
        visit("thousandths", value.thousandths);
        visit("hosts", value.hosts);
        visit("price_max_micros_per_hour", value.price_max_micros_per_hour);
        visit("storage_micros_per_gib_month_max", value.storage_micros_per_gib_month_max);
        visit("egress_micros_per_gib_max", value.egress_micros_per_gib_max);
        visit("term_ms", value.term_ms);
        visit("stored_gib", value.stored_gib);
        visit("moved_gib", value.moved_gib);
        visit("starts_at", value.starts_at);
        visit("end_use", value.end_use);
    }
};

template <>
struct Fields<SignedQuote> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("quote", value.quote);
        visit("server_signature", value.server_signature);
    }
};

template <>
struct Fields<QuotedHost> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("listing_id", value.listing_id);
        visit("seller_id", value.seller_id);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("storage_micros_per_gib_month", value.storage_micros_per_gib_month);
        visit("egress_micros_per_gib", value.egress_micros_per_gib);
    }
};

template <>
struct Fields<Quote> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("quote", value.quote);
        visit("server_signature", value.server_signature);
        visit("id", value.id);
        visit("listing_id", value.listing_id);
        visit("seller_id", value.seller_id);
        visit("count", value.count);
        visit("thousandths", value.thousandths);
        visit("hosts", value.hosts);
        visit("term_ms", value.term_ms);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("all_in_micros_per_hour", value.all_in_micros_per_hour);
        visit("fee_ppm", value.fee_ppm);
        visit("stored_gib", value.stored_gib);
        visit("moved_gib", value.moved_gib);
        visit("cards_micros", value.cards_micros);
        visit("storage_micros", value.storage_micros);
        visit("traffic_micros", value.traffic_micros);
        visit("total_micros", value.total_micros);
        visit("fee_micros", value.fee_micros);
        visit("starts_at", value.starts_at);
        visit("deposit_micros", value.deposit_micros);
        visit("cancel_free_until", value.cancel_free_until);
        visit("cancel_kept_micros", value.cancel_kept_micros);
        visit("penalty_micros", value.penalty_micros);
        visit("quoted_at", value.quoted_at);
        visit("expires_at", value.expires_at);
    }
};

template <>
struct Fields<NewReservation> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("requirements", value.requirements);
        visit("count", value.count);
        visit("price_max_micros_per_hour", value.price_max_micros_per_hour);
        visit("term_ms", value.term_ms);
        visit("starts_at", value.starts_at);
        visit("quote", value.quote);
        visit("end_use", value.end_use);
    }
};

template <>
struct Fields<ReservationOffer> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("price_micros", value.price_micros);
        visit("from", value.from);
    }
};

template <>
struct Fields<NewOffer> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("price_micros", value.price_micros);
        visit("from", value.from);
    }
};

template <>
struct Fields<Reservation> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("role", value.role);
        visit("organization_id", value.organization_id);
        visit("seller_id", value.seller_id);
        visit("host_id", value.host_id);
        visit("listing_id", value.listing_id);
        visit("card_ids", value.card_ids);
        visit("state", value.state);
        visit("reason", value.reason);
        visit("starts_at", value.starts_at);
        visit("ends_at", value.ends_at);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("fee_ppm", value.fee_ppm);
        visit("storage_micros_per_gib_month", value.storage_micros_per_gib_month);
        visit("egress_micros_per_gib", value.egress_micros_per_gib);
        visit("egress_gib", value.egress_gib);
        visit("total_micros", value.total_micros);
        visit("reclaim_notice_ms", value.reclaim_notice_ms);
        visit("end_use", value.end_use);
        visit("cancel_free_until", value.cancel_free_until);
        visit("cancel_kept_ppm", value.cancel_kept_ppm);
        visit("penalty_ppm", value.penalty_ppm);
        visit("deposit_micros", value.deposit_micros);
        visit("bond_micros", value.bond_micros);
        visit("kept_micros", value.kept_micros);
        visit("penalty_micros", value.penalty_micros);
        visit("quote_id", value.quote_id);
        visit("lease_id", value.lease_id);
        visit("bought_from", value.bought_from);
        visit("offer", value.offer);
        visit("booked_at", value.booked_at);
        visit("version", value.version);
    }
};

/// Of an order, asked for and placed.
template <class Visit, class T>
void visit_traffic_limits(const Visit& visit, T& value) {
    visit("egress_gib", value.egress_gib);
    visit("overage_micros_max", value.overage_micros_max);
    visit("egress_micros_per_gib_max", value.egress_micros_per_gib_max);
}

template <>
struct Fields<NewOrder> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("requirements", value.requirements);
        visit("count", value.count);
        visit("thousandths", value.thousandths);
        visit("hosts", value.hosts);
        visit("nvlink", value.nvlink);
        visit("pricing", value.pricing);
        visit("price_max_micros_per_hour", value.price_max_micros_per_hour);
        visit("storage_micros_per_gib_month_max", value.storage_micros_per_gib_month_max);
        visit_traffic_limits(visit, value);
        visit("term_ms", value.term_ms);
        visit("quote", value.quote);
        visit("fill_or_kill", value.fill_or_kill);
        visit("expires_in_ms", value.expires_in_ms);
        visit("end_use", value.end_use);
        visit("job", value.job);
    }
};

template <>
struct Fields<Order> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("state", value.state);
        visit("reason", value.reason);
        visit("requirements", value.requirements);
        visit("count", value.count);
        visit("thousandths", value.thousandths);
        visit("hosts", value.hosts);
        visit("pricing", value.pricing);
        visit("price_max_micros_per_hour", value.price_max_micros_per_hour);
        visit("bid_changed_at", value.bid_changed_at);
        visit("promised_card_ids", value.promised_card_ids);
        visit("term_ms", value.term_ms);
        visit("fill_or_kill", value.fill_or_kill);
        visit("placed_at", value.placed_at);
        visit("expires_at", value.expires_at);
        visit("lease_id", value.lease_id);
        visit("job_id", value.job_id);
        visit("end_use", value.end_use);
        visit("approved", value.approved);
        visit("policy_version", value.policy_version);
        visit("policy_rule", value.policy_rule);
        visit("policy_effect", value.policy_effect);
        visit("quote_id", value.quote_id);
        visit("storage_bytes", value.storage_bytes);
        visit("storage_micros_per_gib_month_max", value.storage_micros_per_gib_month_max);
        visit_traffic_limits(visit, value);
        visit("egress_mib_used", value.egress_mib_used);
        visit("overage_micros_used", value.overage_micros_used);
        visit("all_in_micros_per_hour", value.all_in_micros_per_hour);
        visit("version", value.version);
    }
};

template <>
struct Fields<Lease> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("order_id", value.order_id);
        visit("rank", value.rank);
        visit("hosts", value.hosts);
        visit("organization_id", value.organization_id);
        visit("seller_id", value.seller_id);
        visit("host_id", value.host_id);
        visit("listing_id", value.listing_id);
        visit("job_id", value.job_id);
        visit("attempt", value.attempt);
        visit("card_ids", value.card_ids);
        visit("state", value.state);
        visit("stop_reason", value.stop_reason);
        visit("end_reason", value.end_reason);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("spot_floor_micros_per_hour", value.spot_floor_micros_per_hour);
        visit("storage_bytes", value.storage_bytes);
        visit("storage_micros_per_gib_month", value.storage_micros_per_gib_month);
        visit("egress_micros_per_gib", value.egress_micros_per_gib);
        visit("egress_mib_max", value.egress_mib_max);
        visit("egress_mib", value.egress_mib);
        visit("egress_micros", value.egress_micros);
        visit("all_in_micros_per_hour", value.all_in_micros_per_hour);
        visit("thousandths", value.thousandths);
        visit("term_ms", value.term_ms);
        visit("reclaim_notice_ms", value.reclaim_notice_ms);
        visit("epoch", value.epoch);
        visit("allocated_at", value.allocated_at);
        visit("preparing_at", value.preparing_at);
        visit("running_at", value.running_at);
        visit("ended_at", value.ended_at);
        visit("phase_deadline", value.phase_deadline);
        visit("reclaim_deadline", value.reclaim_deadline);
        visit("paid_until", value.paid_until);
        visit("running_ms", value.running_ms);
        visit("charged_micros", value.charged_micros);
        visit("fee_micros", value.fee_micros);
        visit("held_micros", value.held_micros);
        visit("policy_version", value.policy_version);
        visit("policy_rule", value.policy_rule);
        visit("ends_by", value.ends_by);
        visit("maintenance_at", value.maintenance_at);
        visit("version", value.version);
        visit("role", value.role);
    }
};

template <>
struct Fields<Job> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("organization_id", value.organization_id);
        visit("state", value.state);
        visit("order_id", value.order_id);
        visit("lease_id", value.lease_id);
        visit("rank", value.rank);
        visit("hosts", value.hosts);
        visit("image", value.image);
        visit("command", value.command);
        visit("env", value.env);
        visit("inputs", value.inputs);
        visit("outputs", value.outputs);
        visit("max_duration_ms", value.max_duration_ms);
        visit("attempts_max", value.attempts_max);
        visit("attempts", value.attempts);
        visit("restarts", value.restarts);
        visit("memory_bytes", value.memory_bytes);
        visit("cpu_millis", value.cpu_millis);
        visit("pids_max", value.pids_max);
        visit("disk_bytes", value.disk_bytes);
        visit("checkpoint", value.checkpoint);
        visit("exit_code", value.exit_code);
        visit("reason", value.reason);
        visit("queued_at", value.queued_at);
        visit("started_at", value.started_at);
        visit("finished_at", value.finished_at);
        visit("progress", value.progress);
        visit("version", value.version);
        visit_terms(visit, value);
    }
};

template <>
struct Fields<Placement> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("order", value.order);
        visit("lease", value.lease);
        visit("job", value.job);
        visit("members", value.members);
    }
};

template <>
struct Fields<NewBid> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("price_micros_per_hour", value.price_micros_per_hour);
    }
};

template <>
struct Fields<SpotPool> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("name", value.name);
        visit("product", value.product);
        visit("vram_gib", value.vram_gib);
        visit("price_micros_per_hour", value.price_micros_per_hour);
        visit("cards", value.cards);
        visit("cards_leased", value.cards_leased);
        visit("bids", value.bids);
        visit("repriced_at", value.repriced_at);
    }
};

template <>
struct Fields<SpotPrice> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("at", value.at);
        visit("price_micros_per_hour", value.price_micros_per_hour);
    }
};

template <>
struct Fields<UsageRecord> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("sequence", value.sequence);
        visit("statement", value.statement);
        visit("signature", value.signature);
        visit("accepted_running_ms", value.accepted_running_ms);
        visit("accepted_egress_mib", value.accepted_egress_mib);
        visit("clipped_ms", value.clipped_ms);
        visit("accepted_at", value.accepted_at);
    }
};

template <>
struct Fields<HostKeyCertificate> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("statement", value.statement);
        visit("signature", value.signature);
    }
};

template <>
struct Fields<Receipt> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("receipt", value.receipt);
        visit("server_signature", value.server_signature);
        visit("usage_statement", value.usage_statement);
        visit("usage_signature", value.usage_signature);
        visit("host_key", value.host_key);
        visit("host_key_certificate", value.host_key_certificate);
    }
};

template <>
struct Fields<LogEntry> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("sequence", value.sequence);
        visit("stream", value.stream);
        visit("at", value.at);
        visit("data", value.data);
    }
};

template <>
struct Fields<LogEnd> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("state", value.state);
        visit("exit_code", value.exit_code);
        visit("reason", value.reason);
    }
};

template <>
struct Fields<Artifact> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("id", value.id);
        visit("name", value.name);
        visit("bytes", value.bytes);
        visit("sha256", value.sha256);
        visit("state", value.state);
        visit("parts_received", value.parts_received);
        visit("created_at", value.created_at);
        visit("expires_at", value.expires_at);
    }
};

template <>
struct Fields<MissingParts> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("missing", value.missing);
    }
};

template <>
struct Fields<NewArtifact> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("name", value.name);
        visit("bytes", value.bytes);
        visit("sha256", value.sha256);
    }
};

template <>
struct Fields<JobOutput> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("path", value.path);
        visit("attempt", value.attempt);
        visit("artifact", value.artifact);
    }
};

template <>
struct Fields<Checkpoint> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("number", value.number);
        visit("attempt", value.attempt);
        visit("lease_id", value.lease_id);
        visit("lease_epoch", value.lease_epoch);
        visit("bytes", value.bytes);
        visit("entry_count", value.entry_count);
        visit("created_at", value.created_at);
    }
};

template <>
struct Fields<CheckpointEntry> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("path", value.path);
        visit("kind", value.kind);
        visit("mode", value.mode);
        visit("bytes", value.bytes);
        visit("modified_at", value.modified_at);
        visit("target", value.target);
        visit("chunks", value.chunks);
    }
};

template <>
struct Fields<CheckpointProblem> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("text", value.text);
        visit("at", value.at);
    }
};

template <>
struct Fields<CheckpointList> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("items", value.items);
        visit("problem", value.problem);
    }
};

template <>
struct Fields<CheckpointContent> {
    template <class Visit, class T>
    static void visit(const Visit& visit, T& value) {
        visit("number", value.number);
        visit("entries", value.entries);
    }
};

FALLOW_SDK_REQUEST(JobSpec);
FALLOW_SDK_REPLY(Checkpoint);
FALLOW_SDK_REPLY(CheckpointList);
FALLOW_SDK_REPLY(CheckpointContent);
FALLOW_SDK_REQUEST(NewQuote);
FALLOW_SDK_REPLY(SignedQuote);
FALLOW_SDK_REPLY(Quote);
FALLOW_SDK_REQUEST(NewReservation);
FALLOW_SDK_REQUEST(NewOffer);
FALLOW_SDK_REPLY(Reservation);
FALLOW_SDK_REQUEST(NewOrder);
FALLOW_SDK_REQUEST(NewBid);
FALLOW_SDK_REPLY(SpotPool);
FALLOW_SDK_REPLY(SpotPrice);
FALLOW_SDK_REPLY(Order);
FALLOW_SDK_REPLY(Lease);
FALLOW_SDK_REPLY(Job);
FALLOW_SDK_REPLY(Placement);
FALLOW_SDK_REPLY(UsageRecord);
FALLOW_SDK_REPLY(Receipt);
FALLOW_SDK_REPLY(LogEntry);
FALLOW_SDK_REPLY(LogEnd);
FALLOW_SDK_REPLY(Artifact);
FALLOW_SDK_REQUEST(NewArtifact);
FALLOW_SDK_REPLY(JobOutput);
FALLOW_SDK_REPLY(MissingParts);

}  // namespace fallow::sdk

#include "api/market_json.hpp"

#include "api/catalog_json.hpp"
#include "api/lease_progress.hpp"
#include "market/reservations.hpp"

namespace fallow::api {

void write(JsonWriter& json, const market::Organization& organization) {
    json.begin_object()
        .field("id", organization.id)
        .field("name", organization.name)
        .field("country", organization.country)
        .field("status", organization.status)
        .field("created_at", organization.created_at)
        .field("version", organization.version)
        .end_object();
}

void write(JsonWriter& json, const market::Host& host) {
    json.begin_object()
        .field("id", host.id)
        .field("organization_id", host.organization)
        .field("name", host.name)
        .field("state", host.state)
        .field("verification", host.verification)
        .field("country", host.country)
        .field("runtime", host.runtime)
        .field("engine", host.engine)
        .field("agent_version", host.agent_version)
        .field("cpu_cores", host.cpu_cores)
        .field("memory_bytes", host.memory_bytes)
        .field("cpu_architecture", host.cpu_architecture)
        .field("disk_bytes", host.disk_bytes)
        .field("cpu_model", host.details.cpu_model)
        .field("cpu_clock_mhz", host.details.cpu_clock_mhz)
        .field("rack", host.details.rack)
        .key("disk_speed");
    if (host.details.disk_measured_at) {
        json.begin_object()
            .field("write_bytes_per_s", host.details.disk_write_bytes_per_s)
            .field("read_bytes_per_s", host.details.disk_read_bytes_per_s)
            .field("measured_at", host.details.disk_measured_at)
            .end_object();
    } else {
        json.null();
    }
    json.key("maintenance");
    if (host.maintenance_from) {
        json.begin_object()
            .field("from", host.maintenance_from)
            .field("until", host.maintenance_until)
            .field("reason", host.maintenance_reason)
            .end_object();
    } else {
        json.null();
    }
    json.field("retiring", host.retiring)
        .field("drained_at", host.drained_at)
        .field("guest_network", host.details.guest_network)
        .field("working_storage", host.details.working_storage)
        .field("gang_network", host.details.gang_network)
        .key("network_speed");
    if (host.details.network_measured_at) {
        json.begin_object()
            .field("up_bytes_per_s", host.details.network_up_bytes_per_s)
            .field("down_bytes_per_s", host.details.network_down_bytes_per_s)
            .field("measured_at", host.details.network_measured_at)
            .end_object();
    } else {
        json.null();
    }
    json.field("address", host.address)
        .field("address_since", host.address_since)
        .field("reliability_ppm", market::reliability_ppm(host.record))
        .field("signing_key", host.signing_key)
        .field("enrolled_at", host.enrolled_at)
        .field("version", host.version)
        .end_object();
}

std::string score_json(HostId host, const market::HostRecord& record) {
    JsonWriter json;
    json.begin_object()
        .field("host_id", host)
        .field("reliability_ppm", market::reliability_ppm(record))
        .field("delivered_ms", record.delivered)
        .field("lost_ms", record.lost)
        .field("reclaimed_ms", record.reclaimed)
        .field("start_failed_ms", record.start_failed)
        .field("clipped_ms", record.clipped)
        .field("failed_ms", market::failed(record))
        .field("prior_delivered_ms", market::prior_delivered)
        .field("prior_failed_ms", market::prior_failed)
        .end_object();
    return json.take();
}

void write(JsonWriter& json, const market::Card& card) {
    json.begin_object()
        .field("id", card.id)
        .field("host_id", card.host)
        .field("index", card.index)
        .field("uuid", card.uuid)
        .field("pci_address", card.pci_address)
        .field("product", card.product);
    write_model_fields(json, card.product, card.vram_bytes);
    json.field("vendor", card.vendor)
        .field("device_class", card.device_class)
        .field("backend", card.backend)
        .field("driver_version", card.driver_version)
        .field("cuda_version", card.cuda_version)
        .field("compute_capability", card.compute_capability)
        .field("pcie_generation", card.pcie_generation)
        .field("pcie_width", card.pcie_width)
        .field("power_limit_watts", card.power_limit_watts)
        .field("clock_mhz", card.details.clock_mhz)
        .field("ecc", card.details.ecc)
        .field("ecc_errors", card.details.ecc_errors)
        .field("nvlink_links", card.details.nvlink_links)
        .field("nvlink_bytes_per_s", card.details.nvlink_bytes_per_s)
        .field("nvlink_group", card.details.nvlink_group)
        .field("mig_profile", card.details.mig_profile)
        .field("mig_parent", card.details.mig_parent)
        .key("verification")
        .begin_object()
        .field("state", card.verdict.verification)
        .field("reason", card.verdict.refusal)
        .field("at", card.verdict.verified_at)
        .end_object()
        .field("state", card.state)
        .field("withheld_reason", card.withheld_reason);
    json.key("capacity");
    if (card.measured_at) {
        json.begin_object()
            .field("vram_bytes", card.vram_bytes)
            .field("memory_bandwidth_bytes_per_s", card.memory_bandwidth_bytes_per_s)
            .field("fp32_flops", card.fp32_flops)
            .field("fp16_flops", card.speeds.fp16_flops)
            .field("to_device_bytes_per_s", card.speeds.to_device_bytes_per_s)
            .field("from_device_bytes_per_s", card.speeds.from_device_bytes_per_s)
            .field("measured_at", card.measured_at)
            .end_object();
    } else {
        json.null();
    }
    json.field("used_thousandths", card.used).field("version", card.version).end_object();
}

namespace {

/// Whom a seller lets in is the seller's own business.
void write_renters(JsonWriter& json, const market::Listing& listing, bool is_seller) {
    json.key("renters_allowed");
    is_seller ? json.value(listing.renters_allowed) : json.null();
    json.key("renters_blocked");
    is_seller ? json.value(listing.renters_blocked) : json.null();
}

}  // namespace

void write(JsonWriter& json, const market::ListingView& view, OrganizationId viewer) {
    const market::Listing& listing = view.listing;
    json.begin_object()
        .field("id", listing.id)
        .field("organization_id", listing.organization)
        .field("host_id", listing.host)
        .field("card_ids", listing.cards)
        .field("state", listing.state)
        .field("paused_by", view.paused_by)
        .field("ask_micros_per_hour", listing.ask)
        .field("spot_floor_micros_per_hour", listing.spot_floor)
        .field("storage_micros_per_gib_month", listing.storage_price)
        .field("egress_micros_per_gib", listing.egress_price)
        .field("term_min_ms", listing.term_min)
        .field("term_max_ms", listing.term_max)
        .field("reclaim_notice_ms", listing.reclaim_notice)
        .field("bundle_min", listing.bundle_min)
        .field("share_min_thousandths", listing.share_min)
        .field("windows", listing.windows)
        .field("windows_utc_offset_minutes", listing.windows_utc_offset_minutes)
        .field("images_allowed", listing.images_allowed);
    write_renters(json, listing, viewer == listing.organization);
    json.field("available_from", listing.available_from)
        .field("available_until", listing.available_until)
        .field("committed_until", listing.committed_until)
        .field("created_at", listing.created_at)
        .field("product", view.product);
    write_model_fields(json, view.product, view.vram_bytes);
    json.field("device_class", view.device_class)
        .field("vram_bytes", view.vram_bytes)
        .field("country", view.country)
        .field("runtime", view.runtime)
        .field("cards_total", view.cards_total)
        .field("cards_free", view.cards_free)
        .field("thousandths_free", view.thousandths_free)
        .field("version", listing.version)
        .end_object();
}

void write(JsonWriter& json, const market::Requirements& requirements) {
    json.begin_object()
        .field("products", requirements.products)
        .field("device_class", requirements.device_class)
        .field("vram_bytes_min", requirements.vram_bytes_min)
        .field("countries", requirements.countries)
        .field("countries_excluded", requirements.countries_excluded)
        .field("listing_id", requirements.listing)
        .field("host_id", requirements.host)
        .field("query", requirements.query)
        .end_object();
}

void write(JsonWriter& json, const market::Order& order) {
    json.begin_object()
        .field("id", order.id)
        .field("organization_id", order.organization)
        .field("state", order.state)
        .field("reason", order.reason);
    json.key("requirements");
    write(json, order.requirements);
    json.field("count", order.count)
        .field("thousandths", order.thousandths)
        .field("hosts", order.hosts)
        .field("nvlink", order.nvlink)
        .field("pricing", order.pricing)
        .field("price_max_micros_per_hour", order.price_max)
        .field("bid_changed_at", order.bid_changed_at)
        .field("promised_card_ids", order.promised)
        .field("term_ms", order.term)
        .field("fill_or_kill", order.fill_or_kill)
        .field("placed_at", order.placed_at)
        .field("expires_at", order.expires_at)
        .field("lease_id", order.lease)
        .field("job_id", order.job)
        .field("end_use", order.end_use)
        .field("approved", order.approved)
        .field("policy_version", order.policy_version)
        .field("policy_rule", order.policy_rule)
        .field("policy_effect", order.policy_effect)
        .field("quote_id", order.quote)
        .field("storage_bytes", order.storage_bytes)
        .field("storage_micros_per_gib_month_max", order.storage_price_max)
        .field("egress_gib", order.egress_gib)
        .field("egress_mib_used", order.traffic_used.mib)
        .field("egress_micros_per_gib_max", order.egress_price_max)
        .field("overage_micros_max", order.overage_max)
        .field("overage_micros_used", order.traffic_used.overage)
        .field("all_in_micros_per_hour", order.hourly)
        .field("version", order.version)
        .end_object();
}

void write(JsonWriter& json, const market::Lease& lease, OrganizationId viewer) {
    json.begin_object()
        .field("id", lease.id)
        .field("role", lease.renter == viewer ? "renter" : "seller")
        .field("order_id", lease.order)
        .field("rank", lease.rank)
        .field("hosts", lease.hosts)
        .field("organization_id", lease.renter)
        .field("seller_id", lease.seller)
        .field("host_id", lease.host)
        .field("listing_id", lease.listing)
        .field("job_id", lease.job)
        .field("attempt", lease.attempt)
        .field("card_ids", lease.cards)
        .field("state", lease.state)
        .field("stop_reason", lease.stop_reason)
        .field("end_reason", lease.end_reason)
        .field("price_micros_per_hour", lease.price)
        .field("spot_floor_micros_per_hour", lease.spot_floor)
        .field("storage_bytes", lease.storage_bytes)
        .field("storage_micros_per_gib_month", lease.storage_price)
        .field("egress_micros_per_gib", lease.egress_price)
        .field("egress_mib_max", lease.egress_mib_max)
        .field("egress_mib", lease.meter.egress_mib)
        .field("egress_micros", ledger::traffic_part(lease.meter, lease.egress_price))
        .field("all_in_micros_per_hour", ledger::hourly(lease.rate()))
        .field("thousandths", lease.thousandths)
        .field("term_ms", lease.term)
        .field("reclaim_notice_ms", lease.reclaim_notice)
        .field("epoch", lease.epoch)
        .field("allocated_at", lease.allocated_at)
        .field("preparing_at", lease.preparing_at)
        .field("running_at", lease.running_at)
        .field("ended_at", lease.ended_at)
        .field("phase_deadline", lease.phase_deadline)
        .field("reclaim_deadline", lease.reclaim_deadline)
        .field("paid_until", lease.paid_until)
        .field("running_ms", lease.meter.running)
        .field("charged_micros", lease.meter.charged)
        .field("fee_micros", lease.meter.fee)
        .field("held_micros", lease.held)
        .field("policy_version", lease.policy_version)
        .field("policy_rule", lease.policy_rule)
        .field("ends_by", lease.ends_by)
        .field("maintenance_at", lease.maintenance_at)
        .field("version", lease.version)
        .end_object();
}

void write(JsonWriter& json, const market::Reservation& row, OrganizationId viewer) {
    const std::string_view role = row.renter == viewer   ? "renter"
                                  : row.seller == viewer ? "seller"
                                                         : "none";
    json.begin_object()
        .field("id", row.id)
        .field("role", role)
        .field("organization_id", row.renter)
        .field("seller_id", row.seller)
        .field("host_id", row.host)
        .field("listing_id", row.listing)
        .field("card_ids", row.cards)
        .field("state", row.state)
        .field("reason", row.reason)
        .field("starts_at", row.starts_at)
        .field("ends_at", row.ends_at)
        .field("price_micros_per_hour", row.price)
        .field("fee_ppm", row.fee_ppm)
        .field("storage_micros_per_gib_month", row.storage_price)
        .field("egress_micros_per_gib", row.egress_price)
        .field("egress_gib", row.egress_gib)
        .field("total_micros", market::price_of_block(row))
        .field("reclaim_notice_ms", row.reclaim_notice)
        .field("end_use", row.end_use)
        .field("cancel_free_until", row.cancel_free_until)
        .field("cancel_kept_ppm", row.cancel_kept_ppm)
        .field("penalty_ppm", row.penalty_ppm)
        .field("deposit_micros", row.deposit)
        .field("bond_micros", row.bond)
        .field("kept_micros", row.kept)
        .field("penalty_micros", row.penalty)
        .field("quote_id", row.quote)
        .field("lease_id", row.lease)
        .field("bought_from", row.bought_from);
    json.key("offer");
    if (row.offer_price)
        json.begin_object()
            .field("price_micros", row.offer_price)
            .field("from", row.offer_from)
            .end_object();
    else
        json.null();
    json.field("booked_at", row.booked_at).field("version", row.version).end_object();
}

void write(JsonWriter& json, const market::Job& job, std::string_view document,
           const accounts::LeaseProgress* progress) {
    json.begin_object()
        .field("id", job.id)
        .field("organization_id", job.organization)
        .field("state", job.state)
        .field("order_id", job.order)
        .field("rank", job.rank)
        .field("hosts", job.hosts)
        .field("lease_id", job.lease)
        .members_of(document)  // image to disk_bytes
        .field("attempts", job.attempts)
        .field("restarts", job.restarts)
        .field("exit_code", job.exit_code)
        .field("reason", job.reason)
        .field("queued_at", job.queued_at)
        .field("started_at", job.started_at)
        .field("finished_at", job.finished_at);
    if (progress == nullptr) json.key("progress").null();
    json.field("version", job.version);
    if (progress != nullptr) write(json.key("progress"), *progress);
    json.end_object();
}

void write(JsonWriter& json, const market::Usage& usage) {
    json.begin_object()
        .field("sequence", usage.sequence)
        .field("statement", usage.statement)
        .field("signature", usage.signature)
        .field("accepted_running_ms", usage.accepted_running)
        .field("clipped_ms", usage.clipped)
        .field("accepted_egress_mib", usage.accepted_egress_mib)
        .field("accepted_at", usage.accepted_at)
        .end_object();
}

void write(JsonWriter& json, const market::Freeze& freeze) {
    json.begin_object()
        .field("id", freeze.id)
        .field("kind", freeze.kind)
        .field("target", freeze.target)
        .field("note", freeze.note)
        .field("created_at", freeze.created_at)
        .field("created_by", freeze.created_by)
        .end_object();
}

void write(JsonWriter& json, const market::Policy& policy) {
    json.begin_object().field("text", policy.text);
    json.key("rules").begin_array();
    const auto rules = market::parse_policy(policy.text);
    FALLOW_ASSERT(rules.ok());
    for (const market::PolicyRule& rule : *rules)
        json.begin_object()
            .field("name", rule.name)
            .field("effect", rule.effect)
            .field("reason", rule.reason)
            .end_object();
    json.end_array()
        .field("created_by", policy.created_by)
        .field("created_at", policy.created_at)
        .field("version", policy.version)
        .end_object();
}

void write(JsonWriter& json, const market::PolicyApproval& approval) {
    json.begin_object()
        .field("id", approval.id)
        .field("organization_id", approval.organization)
        .field("model", approval.model)
        .field("note", approval.note)
        .field("created_by", approval.created_by)
        .field("created_at", approval.created_at)
        .end_object();
}

}  // namespace fallow::api

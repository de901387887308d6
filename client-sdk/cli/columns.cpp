#include "columns.hpp"

#include <fmt/format.h>

#include <fallow/human.hpp>

#include "files.hpp"
#include "progress.hpp"

namespace fallow::cli {
namespace {

std::string describe(const Requirements& requirements) {
    std::vector<std::string> parts;
    const auto add = [&parts](const std::string& name, const std::string& value) {
        if (value != "-" && !value.empty()) parts.push_back(name + "=" + value);
    };
    add("product", joined(requirements.products));
    add("device_class", requirements.device_class.value_or(""));
    if (requirements.vram_bytes_min) add("vram>", format_size(*requirements.vram_bytes_min));
    add("country", joined(requirements.countries));
    add("not_country", joined(requirements.countries_excluded));
    add("listing", requirements.listing_id.value_or(""));
    add("host", requirements.host_id.value_or(""));
    add("where", requirements.query.value_or(""));
    return joined(parts);
}

std::string traffic_text(const Lease& lease) {
    return lease.egress_mib_max ? fmt::format("{} of {} MiB", lease.egress_mib, *lease.egress_mib_max)
                                : fmt::format("{} MiB, without a limit", lease.egress_mib);
}

}  // namespace

std::string rejection_of(const Order& order) {
    const bool may_be_approved = order.policy_effect == "needs_approval";
    return fmt::format("rule {} of policy version {} {}", order.policy_rule.value_or("-"),
                       order.policy_version.value_or(0),
                       may_be_approved ? "needs an approval by the operator" : "denies it");
}

Columns<Lease> lease_list() {
    return {
        {"id", [](const Lease& lease) { return lease.id; }},
        {"role", [](const Lease& lease) { return or_dash(lease.role); }},
        {"state", [](const Lease& lease) { return lease.state; }},
        {"end reason", [](const Lease& lease) { return or_dash(lease.end_reason); }},
        {"price/h", [](const Lease& lease) { return format_usd(lease.price_micros_per_hour); }},
        {"running", [](const Lease& lease) { return format_duration(lease.running_ms); }},
        {"charged", [](const Lease& lease) { return format_usd(lease.charged_micros); }},
        {"allocated", [](const Lease& lease) { return lease.allocated_at; }},
    };
}

Columns<Lease> lease_fields() {
    return {
        {"id", [](const Lease& lease) { return lease.id; }},
        {"role", [](const Lease& lease) { return or_dash(lease.role); }},
        {"state", [](const Lease& lease) { return lease.state; }},
        {"told to stop", [](const Lease& lease) { return or_dash(lease.stop_reason); }},
        {"end reason", [](const Lease& lease) { return or_dash(lease.end_reason); }},
        {"order", [](const Lease& lease) { return lease.order_id; }},
        {"job", [](const Lease& lease) { return or_dash(lease.job_id); }},
        {"attempt", [](const Lease& lease) { return std::to_string(lease.attempt); }},
        {"renter", [](const Lease& lease) { return lease.organization_id; }},
        {"seller", [](const Lease& lease) { return lease.seller_id; }},
        {"host", [](const Lease& lease) { return lease.host_id; }},
        {"listing", [](const Lease& lease) { return lease.listing_id; }},
        {"cards", [](const Lease& lease) { return joined(lease.card_ids); }},
        {"rank", [](const Lease& lease) { return fmt::format("{} of {}", lease.rank, lease.hosts); }},
        {"window closes", [](const Lease& lease) { return or_dash(lease.ends_by); }},
        {"host maintained from", [](const Lease& lease) { return or_dash(lease.maintenance_at); }},
        {"of a card", [](const Lease& lease) { return format_thousandths(lease.thousandths); }},
        {"price per card-hour", [](const Lease& lease) { return format_usd(lease.price_micros_per_hour); }},
        {"spot floor",
         [](const Lease& lease) {
             return lease.spot_floor_micros_per_hour ? format_usd(*lease.spot_floor_micros_per_hour) : "-";
         }},
        {"storage", [](const Lease& lease) { return format_size(lease.storage_bytes); }},
        {"storage per GiB-month",
         [](const Lease& lease) { return format_usd(lease.storage_micros_per_gib_month); }},
        {"traffic per GiB", [](const Lease& lease) { return format_usd(lease.egress_micros_per_gib); }},
        {"traffic", &traffic_text},
        {"all in per hour", [](const Lease& lease) { return format_usd(lease.all_in_micros_per_hour); }},
        {"term", [](const Lease& lease) { return format_duration(lease.term_ms); }},
        {"reclaim notice", [](const Lease& lease) { return format_duration(lease.reclaim_notice_ms); }},
        {"allocated at", [](const Lease& lease) { return lease.allocated_at; }},
        {"preparing at", [](const Lease& lease) { return or_dash(lease.preparing_at); }},
        {"running at", [](const Lease& lease) { return or_dash(lease.running_at); }},
        {"ended at", [](const Lease& lease) { return or_dash(lease.ended_at); }},
        {"phase deadline", [](const Lease& lease) { return or_dash(lease.phase_deadline); }},
        {"reclaim deadline", [](const Lease& lease) { return or_dash(lease.reclaim_deadline); }},
        {"paid until", [](const Lease& lease) { return or_dash(lease.paid_until); }},
        {"running", [](const Lease& lease) { return format_duration(lease.running_ms); }},
        {"charged", [](const Lease& lease) { return format_usd(lease.charged_micros); }},
        {"traffic in it", [](const Lease& lease) { return format_usd(lease.egress_micros); }},
        {"fee in it", [](const Lease& lease) { return format_usd(lease.fee_micros); }},
        {"held", [](const Lease& lease) { return format_usd(lease.held_micros); }},
        {"policy version", [](const Lease& lease) { return or_dash(lease.policy_version); }},
        {"allowed by rule", [](const Lease& lease) { return or_dash(lease.policy_rule); }},
    };
}

Columns<Order> order_list() {
    return {
        {"id", [](const Order& order) { return order.id; }},
        {"state", [](const Order& order) { return order.state; }},
        {"cards", [](const Order& order) { return std::to_string(order.count); }},
        {"pricing", [](const Order& order) { return or_dash(order.pricing); }},
        {"price max/h", [](const Order& order) { return format_usd(order.price_max_micros_per_hour); }},
        {"term", [](const Order& order) { return format_duration(order.term_ms); }},
        {"lease", [](const Order& order) { return or_dash(order.lease_id); }},
        {"placed", [](const Order& order) { return order.placed_at; }},
    };
}

Columns<Order> order_fields() {
    return {
        {"id", [](const Order& order) { return order.id; }},
        {"state", [](const Order& order) { return order.state; }},
        {"reason", [](const Order& order) { return or_dash(order.reason); }},
        {"requirements", [](const Order& order) { return describe(order.requirements); }},
        {"cards", [](const Order& order) { return std::to_string(order.count); }},
        {"hosts", [](const Order& order) { return std::to_string(order.hosts); }},
        {"of each card", [](const Order& order) { return format_thousandths(order.thousandths); }},
        {"pricing", [](const Order& order) { return or_dash(order.pricing); }},
        {"price max per card-hour",
         [](const Order& order) { return format_usd(order.price_max_micros_per_hour); }},
        {"storage", [](const Order& order) { return format_size(order.storage_bytes); }},
        {"storage max per GiB-month",
         [](const Order& order) { return usd_or_dash(order.storage_micros_per_gib_month_max); }},
        {"traffic", [](const Order& order) { return fmt::format("{} GiB a host", order.egress_gib); }},
        {"traffic beyond for", [](const Order& order) { return format_usd(order.overage_micros_max); }},
        {"used by earlier attempts",
         [](const Order& order) {
             return fmt::format("{} MiB and {}", order.egress_mib_used,
                                format_usd(order.overage_micros_used));
         }},
        {"traffic max per GiB",
         [](const Order& order) { return usd_or_dash(order.egress_micros_per_gib_max); }},
        {"all in per hour", [](const Order& order) { return usd_or_dash(order.all_in_micros_per_hour); }},
        {"bid changed at", [](const Order& order) { return or_dash(order.bid_changed_at); }},
        {"cards promised", [](const Order& order) { return joined(order.promised_card_ids); }},
        {"term", [](const Order& order) { return format_duration(order.term_ms); }},
        {"fill or kill", [](const Order& order) { return yes_no(order.fill_or_kill); }},
        {"placed at", [](const Order& order) { return order.placed_at; }},
        {"expires at", [](const Order& order) { return order.expires_at; }},
        {"lease", [](const Order& order) { return or_dash(order.lease_id); }},
        {"job", [](const Order& order) { return or_dash(order.job_id); }},
        {"end use", [](const Order& order) { return or_dash(order.end_use); }},
        {"policy", [](const Order& order) { return order.policy_rule ? rejection_of(order) : "-"; }},
        {"approved", [](const Order& order) { return yes_no(order.approved.value_or(false)); }},
    };
}

Columns<Job> job_list() {
    return {
        {"id", [](const Job& job) { return job.id; }},
        {"state", [](const Job& job) { return job.state; }},
        {"exit", [](const Job& job) { return or_dash(job.exit_code); }},
        {"attempts", [](const Job& job) { return std::to_string(job.attempts); }},
        {"image", [](const Job& job) { return job.image; }},
        {"queued", [](const Job& job) { return job.queued_at; }},
    };
}

Columns<Job> job_fields() {
    return {
        {"id", [](const Job& job) { return job.id; }},
        {"state", [](const Job& job) { return job.state; }},
        {"progress", [](const Job& job) { return job.progress ? progress_text(*job.progress) : "-"; }},
        {"reason", [](const Job& job) { return or_dash(job.reason); }},
        {"exit code", [](const Job& job) { return or_dash(job.exit_code); }},
        {"order", [](const Job& job) { return or_dash(job.order_id); }},
        {"lease", [](const Job& job) { return or_dash(job.lease_id); }},
        {"rank", [](const Job& job) { return fmt::format("{} of {}", job.rank, job.hosts); }},
        {"image", [](const Job& job) { return job.image; }},
        {"command", [](const Job& job) { return joined(job.command); }},
        {"outputs", [](const Job& job) { return joined(job.outputs); }},
        {"attempts",
         [](const Job& job) { return fmt::format("{} of {}", job.attempts, job.attempts_max); }},
        {"restarts",
         [](const Job& job) {
             return job.restart ? fmt::format("{} of {}", job.restarts, job.restart->restarts_max) : "-";
         }},
        {"max duration", [](const Job& job) { return format_duration(job.max_duration_ms); }},
        {"memory", [](const Job& job) { return format_size(job.memory_bytes); }},
        {"cpus", [](const Job& job) { return format_thousandths(job.cpu_millis); }},
        {"disk", [](const Job& job) { return format_size(job.disk_bytes); }},
        {"checkpoint", [](const Job& job) { return job.checkpoint ? job.checkpoint->path : "-"; }},
        {"queued at", [](const Job& job) { return job.queued_at; }},
        {"started at", [](const Job& job) { return or_dash(job.started_at); }},
        {"finished at", [](const Job& job) { return or_dash(job.finished_at); }},
    };
}

Columns<Event> event_list() {
    return {
        {"id", [](const Event& event) { return event.id; }},
        {"at", [](const Event& event) { return event.at; }},
        {"type", [](const Event& event) { return event.type; }},
        {"object", [](const Event& event) { return event.object.id; }},
        {"reason", [](const Event& event) { return plain(event.reason); }},
        {"actor", [](const Event& event) { return plain(event.actor); }},
    };
}

Columns<Transfer> transfer_list() {
    return {
        {"id", [](const Transfer& transfer) { return transfer.id; }},
        {"at", [](const Transfer& transfer) { return transfer.at; }},
        {"reason", [](const Transfer& transfer) { return transfer.reason; }},
        {"amount", [](const Transfer& transfer) { return format_usd(transfer.amount_micros); }},
        {"from", [](const Transfer& transfer) { return transfer.debit_kind; }},
        {"to", [](const Transfer& transfer) { return transfer.credit_kind; }},
        {"lease", [](const Transfer& transfer) { return or_dash(transfer.lease_id); }},
        {"reference", [](const Transfer& transfer) { return or_dash(transfer.reference); }},
    };
}

void print_key_secret(const Context& context, const KeySecret& key, const std::string& out) {
    if (!out.empty()) write_secret(out, key.secret);
    Context::message(fmt::format("{} \"{}\": {}; valid until {}. Its secret is shown this once.",
                                 key.key.id, key.key.name, joined(key.key.scopes), key.key.expires_at));
    if (context.format() == Format::json) {
        print_json(out.empty() ? to_json(key) : "{\"key\":" + to_json(key.key) + "}");
    } else if (out.empty()) {
        print_text(key.secret + "\n");
    }
}

}  // namespace fallow::cli

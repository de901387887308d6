#include <fallow/human.hpp>
#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "telemetry.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<UsageRecord> usage_list() {
    return {
        {"sequence", [](const UsageRecord& usage) { return std::to_string(usage.sequence); }},
        {"accepted", [](const UsageRecord& usage) { return usage.accepted_at; }},
        {"running", [](const UsageRecord& usage) { return format_duration(usage.accepted_running_ms); }},
        {"traffic in MiB", [](const UsageRecord& usage) { return or_dash(usage.accepted_egress_mib); }},
        {"clipped", [](const UsageRecord& usage) { return format_duration(usage.clipped_ms); }},
        {"signature", [](const UsageRecord& usage) { return usage.signature; }},
    };
}

struct ReclaimArguments {
    std::string id;
    bool breach = false;
};

void add_reclaim(CLI::App& lease, Context& context) {
    auto& command = *lease.add_subcommand(
        "reclaim", "Want the cards back: notice to the renter, then the end (seller)");
    const auto arguments = std::make_shared<ReclaimArguments>();
    add_id(command, arguments->id, "lease");
    command.add_flag("--breach", arguments->breach, "Although the listing is committed, for the penalty");
    on_run(context, command, arguments, [](Context& with, const ReclaimArguments& given) {
        Client& client = with.client();
        const auto reclaim = given.breach ? &Client::breach_lease : &Client::reclaim_lease;
        print_one(with, (client.*reclaim)(given.id, with.call_options()), lease_fields());
    });
}

}  // namespace

void add_lease_commands(CLI::App& app, Context& context) {
    CLI::App& lease = add_noun(app, "lease", "Cards that are rented, from either side");

    add_list<Lease>(lease, context, "list", "List the leases you rent or let", &Client::leases,
                    &lease_list);
    add_show<Lease>(lease, context, "lease", &Client::lease, &lease_fields);
    add_act<Lease>(lease, context, "end", "Give the cards back before the term is over (renter)", "lease",
                   &Client::end_lease, &lease_fields);
    add_reclaim(lease, context);
    add_part_list<UsageRecord>(lease, context, "usage", "List the usage statements the host signed",
                               "lease", &Client::usage, &usage_list);
    add_lease_stats(lease, context);
}

}  // namespace fallow::cli

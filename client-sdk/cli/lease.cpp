#include <fallow/human.hpp>
#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<UsageRecord> usage_list() {
    return {
        {"sequence", [](const UsageRecord& usage) { return std::to_string(usage.sequence); }},
        {"accepted", [](const UsageRecord& usage) { return usage.accepted_at; }},
        {"running", [](const UsageRecord& usage) { return format_duration(usage.accepted_running_ms); }},
        {"clipped", [](const UsageRecord& usage) { return format_duration(usage.clipped_ms); }},
        {"signature", [](const UsageRecord& usage) { return usage.signature; }},
    };
}

}  // namespace

void add_lease_commands(CLI::App& app, Context& context) {
    CLI::App& lease = add_noun(app, "lease", "Cards that are rented, from either side");

    add_list<Lease>(lease, context, "list", "List the leases you rent or let", &Client::leases,
                    &lease_list);
    add_show<Lease>(lease, context, "lease", &Client::lease, &lease_fields);
    add_act<Lease>(lease, context, "end", "Give the cards back before the term is over (renter)", "lease",
                   &Client::end_lease, &lease_fields);
    add_act<Lease>(lease, context, "reclaim",
                   "Want the cards back: notice to the renter, then the end (seller)", "lease",
                   &Client::reclaim_lease, &lease_fields);
    add_part_list<UsageRecord>(lease, context, "usage", "List the usage statements the host signed",
                               "lease", &Client::usage, &usage_list);
}

}  // namespace fallow::cli

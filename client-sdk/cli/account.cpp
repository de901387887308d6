#include <fallow/human.hpp>
#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {

void add_account_commands(CLI::App& app, Context& context) {
    CLI::App& account = add_noun(app, "account", "Your organization's money");

    auto& show = *account.add_subcommand("show", "Show the balances");
    on_run(context, show, [](Context& with) {
        const Columns<Account> fields = {
            {"available", [](const Account& balances) { return format_usd(balances.available_micros); }},
            {"held for leases", [](const Account& balances) { return format_usd(balances.held_micros); }},
            {"earned", [](const Account& balances) { return format_usd(balances.earned_micros); }},
        };
        print_one(with, with.client().account(), fields);
    });

    add_list<Transfer>(account, context, "transfers", "List the transfers, newest first",
                       &Client::transfers, &transfer_list);

    auto& whoami = *account.add_subcommand("whoami", "Show whose the API key is, and what it may do");
    on_run(context, whoami, [](Context& with) {
        const Columns<Identity> fields = {
            {"organization", [](const Identity& identity) { return identity.organization.id; }},
            {"name", [](const Identity& identity) { return identity.organization.name; }},
            {"country", [](const Identity& identity) { return identity.organization.country; }},
            {"state", [](const Identity& identity) { return identity.organization.state; }},
            {"key", [](const Identity& identity) { return identity.key.id; }},
            {"key name", [](const Identity& identity) { return identity.key.name; }},
            {"scopes", [](const Identity& identity) { return joined(identity.key.scopes); }},
            {"expires at", [](const Identity& identity) { return identity.key.expires_at; }},
        };
        print_one(with, with.client().whoami(), fields);
    });
}

}  // namespace fallow::cli

#include <fallow/human.hpp>

#include "columns.hpp"
#include "commands.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<Organization> organization_list() {
    return {
        {"id", [](const Organization& organization) { return organization.id; }},
        {"name", [](const Organization& organization) { return organization.name; }},
        {"country", [](const Organization& organization) { return organization.country; }},
        {"state", [](const Organization& organization) { return organization.state; }},
        {"created", [](const Organization& organization) { return organization.created_at; }},
    };
}

Columns<Freeze> freeze_list() {
    return {
        {"id", [](const Freeze& freeze) { return freeze.id; }},
        {"kind", [](const Freeze& freeze) { return freeze.kind; }},
        {"target", [](const Freeze& freeze) { return freeze.target; }},
        {"note", [](const Freeze& freeze) { return freeze.note; }},
        {"created", [](const Freeze& freeze) { return freeze.created_at; }},
        {"by", [](const Freeze& freeze) { return plain(freeze.created_by); }},
    };
}

Columns<LedgerProof> ledger_fields(const LedgerProof& ledger) {
    Columns<LedgerProof> fields = {
        {"balanced", [](const LedgerProof& proof) { return yes_no(proof.balanced); }},
        {"sum of all accounts", [](const LedgerProof& proof) { return format_usd(proof.sum_micros); }},
        {"accounts", [](const LedgerProof& proof) { return std::to_string(proof.accounts); }},
        {"transfers", [](const LedgerProof& proof) { return std::to_string(proof.transfers); }},
        {"mismatched accounts",
         [](const LedgerProof& proof) { return std::to_string(proof.mismatched_accounts.size()); }},
    };
    for (const KindBalance& balance : ledger.by_kind)
        fields.push_back(
            {balance.kind, [balance](const LedgerProof&) { return format_usd(balance.balance_micros); }});
    return fields;
}

Columns<SchedulerState> scheduler_fields() {
    return {
        {"market", [](const SchedulerState& state) { return state.market; }},
        {"leader", [](const SchedulerState& state) { return plain(state.leader); }},
        {"epoch", [](const SchedulerState& state) { return std::to_string(state.epoch); }},
        {"sequence", [](const SchedulerState& state) { return std::to_string(state.sequence); }},
        {"last confirmed", [](const SchedulerState& state) { return or_dash(state.last_confirmed_at); }},
        {"queue", [](const SchedulerState& state) { return std::to_string(state.queue_depth); }},
        {"active leases", [](const SchedulerState& state) { return std::to_string(state.active_leases); }},
        {"standing orders",
         [](const SchedulerState& state) { return std::to_string(state.standing_orders); }},
        {"batches", [](const SchedulerState& state) { return std::to_string(state.batches); }},
        {"commands", [](const SchedulerState& state) { return std::to_string(state.commands); }},
        {"quarantined", [](const SchedulerState& state) { return plain(state.quarantined); }},
    };
}

Columns<Fee> fee_fields() {
    return {{"fee", [](const Fee& fee) { return format_ppm(fee.fee_ppm) + " of every charge"; }}};
}

void add_organizations(CLI::App& admin, Context& context) {
    CLI::App& organization = add_noun(admin, "org", "Organizations: the tenants");
    auto& create = *organization.add_subcommand("create", "Make an organization");
    const auto wanted = std::make_shared<NewOrganization>();
    create.add_option("--name", wanted->name, "Its name")->required();
    create.add_option("--country", wanted->country, "Where it is, like DE")->required();
    on_run(context, create, wanted, [](Context& with, const NewOrganization& given) {
        print_one(with, with.client().create_organization(given, with.call_options()), organization_list());
    });
    add_list<Organization>(organization, context, "list", "List the organizations", &Client::organizations,
                           &organization_list);
}

struct OrganizationKeyArguments : KeyArguments {
    std::string organization_id;
};

void add_keys(CLI::App& admin, Context& context) {
    CLI::App& key = add_noun(admin, "key", "API keys of any organization");
    auto& create = *key.add_subcommand("create", "Make a key for an organization; prints its secret once");
    const auto arguments = std::make_shared<OrganizationKeyArguments>();
    create.add_option("--organization", arguments->organization_id, "Whose key")
        ->required()
        ->type_name("ID");
    add_key_options(create, *arguments);
    on_run(context, create, arguments, [](Context& with, const OrganizationKeyArguments& given) {
        const NewKey wanted{given.name, given.scopes, given.expires_in_ms};
        const KeySecret key_made =
            with.client().create_organization_key(given.organization_id, wanted, with.call_options());
        print_key_secret(with, key_made, given.out);
    });
}

struct MoneyArguments {
    std::string organization_id;
    std::string account;
    std::string reference;
    std::optional<std::int64_t> amount_micros;
};

std::shared_ptr<MoneyArguments> add_money_options(CLI::App& command) {
    const auto arguments = std::make_shared<MoneyArguments>();
    command.add_option("--organization", arguments->organization_id, "Whose account")
        ->required()
        ->type_name("ID");
    add_money(command, "--amount", arguments->amount_micros, "How much")->required();
    command.add_option("--reference", arguments->reference, "What your books call this payment")
        ->required();
    return arguments;
}

void add_money_moves(CLI::App& admin, Context& context) {
    auto& deposit = *admin.add_subcommand("deposit", "Record a payment that came in");
    on_run(context, deposit, add_money_options(deposit), [](Context& with, const MoneyArguments& given) {
        const NewDeposit wanted{given.organization_id, given.amount_micros.value(), given.reference};
        print_one(with, with.client().deposit(wanted, with.call_options()), transfer_list());
    });
    auto& withdraw = *admin.add_subcommand("withdraw", "Record a payment that went out");
    const auto arguments = add_money_options(withdraw);
    withdraw.add_option("--account", arguments->account, "available or earned")
        ->required()
        ->check(CLI::IsMember({"available", "earned"}));
    on_run(context, withdraw, arguments, [](Context& with, const MoneyArguments& given) {
        const NewWithdrawal wanted{given.organization_id, given.account, given.amount_micros.value(),
                                   given.reference};
        print_one(with, with.client().withdraw(wanted, with.call_options()), transfer_list());
    });
}

void show_ledger(Context& context) {
    const LedgerProof ledger = context.client().ledger();
    print_one(context, ledger, ledger_fields(ledger));
    if (!ledger.balanced) throw CommandFailed("the ledger is NOT balanced");
}

void add_fee(CLI::App& admin, Context& context) {
    CLI::App& fee = add_noun(admin, "fee", "The operator's part of every charge");
    auto& get = *fee.add_subcommand("get", "Show it");
    on_run(context, get, [](Context& with) { print_one(with, with.client().fee(), fee_fields()); });
    auto& set = *fee.add_subcommand("set", "Change it, for new leases only");
    const auto ppm = std::make_shared<std::optional<std::int64_t>>();
    set.add_option_function<std::string>(
           "percent",
           [ppm](const std::string& text) {
               *ppm = parse_percent_ppm(text);
               if (!*ppm)
                   throw CLI::ValidationError("percent", "\"" + text + "\" is not a percentage like 2.5");
           },
           "In per cent, 0 to 50, up to four decimals")
        ->required()
        ->type_name("PERCENT");
    on_run(context, set, ppm, [](Context& with, const std::optional<std::int64_t>& wanted) {
        print_one(with, with.client().set_fee({wanted.value()}), fee_fields());
    });
}

Columns<SpotStep> spot_step_fields() {
    return {
        {"step per card-hour", [](const SpotStep& step) { return format_usd(step.step_micros_per_hour); }}};
}

void add_spot_step(CLI::App& admin, Context& context) {
    CLI::App& spot = add_noun(admin, "spot", "By how much one bid outbids another");
    auto& get = *spot.add_subcommand("get", "Show the step");
    on_run(context, get,
           [](Context& with) { print_one(with, with.client().spot_step(), spot_step_fields()); });
    auto& set = *spot.add_subcommand("set", "Change the step");
    const auto step = std::make_shared<std::optional<std::int64_t>>();
    add_money(set, "--step", *step, "A bid must be higher by this to displace another")->required();
    on_run(context, set, step, [](Context& with, const std::optional<std::int64_t>& wanted) {
        print_one(with, with.client().set_spot_step({wanted.value()}), spot_step_fields());
    });
}

void add_freezes(CLI::App& admin, Context& context) {
    CLI::App& freeze = add_noun(admin, "freeze", "What may not be leased");
    auto& create = *freeze.add_subcommand("create",
                                          "Freeze an organization, host, image or the market: no new "
                                          "leases; but for a market, running ones end");
    const auto wanted = std::make_shared<NewFreeze>();
    create.add_option("--kind", wanted->kind, "organization, host, market or image")
        ->required()
        ->check(CLI::IsMember({"organization", "host", "market", "image"}));
    create.add_option("--target", wanted->target, "The id, the market's or the image's name")->required();
    create.add_option("--note", wanted->note, "Why")->required();
    on_run(context, create, wanted, [](Context& with, const NewFreeze& given) {
        print_one(with, with.client().create_freeze(given, with.call_options()), freeze_list());
    });
    add_list<Freeze>(freeze, context, "list", "List the freezes", &Client::freezes, &freeze_list);
    auto& remove = *freeze.add_subcommand("remove", "Lift a freeze");
    const auto id = std::make_shared<std::string>();
    add_id(remove, *id, "freeze");
    on_run(context, remove, id, [](Context& with, const std::string& freeze_id) {
        with.client().remove_freeze(freeze_id);
        Context::message(freeze_id + " is lifted");
    });
}

}  // namespace

void add_admin_commands(CLI::App& app, Context& context) {
    CLI::App& admin = add_noun(app, "admin", "Operate the marketplace (scope admin)");
    add_organizations(admin, context);
    add_keys(admin, context);
    add_money_moves(admin, context);
    auto& ledger = *admin.add_subcommand("ledger", "Prove the ledger: exit code 1 unless it balances");
    on_run(context, ledger, &show_ledger);
    add_fee(admin, context);
    add_spot_step(admin, context);
    auto& scheduler = *admin.add_subcommand("scheduler", "Show the market's single writer");
    on_run(context, scheduler,
           [](Context& with) { print_one(with, with.client().scheduler(), scheduler_fields()); });
    add_freezes(admin, context);
    add_admin_policy_commands(admin, context);
    add_list<Event>(admin, context, "audit", "List the events of all organizations, oldest first",
                    &Client::audit, &event_list);
}

}  // namespace fallow::cli

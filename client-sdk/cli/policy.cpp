#include <fmt/format.h>

#include <memory>

#include "columns.hpp"
#include "commands.hpp"
#include "files.hpp"
#include "verbs.hpp"

namespace fallow::cli {
namespace {

Columns<Approval> approval_list() {
    return {
        {"id", [](const Approval& approval) { return approval.id; }},
        {"organization", [](const Approval& approval) { return approval.organization_id; }},
        {"model", [](const Approval& approval) { return approval.model; }},
        {"note", [](const Approval& approval) { return approval.note; }},
        {"created", [](const Approval& approval) { return approval.created_at; }},
        {"by", [](const Approval& approval) { return approval.created_by; }},
    };
}

Columns<PolicyVerdict> verdict_fields() {
    return {
        {"effect", [](const PolicyVerdict& verdict) { return verdict.effect; }},
        {"rule", [](const PolicyVerdict& verdict) { return or_dash(verdict.rule); }},
        {"because", [](const PolicyVerdict& verdict) { return or_dash(verdict.reason); }},
        {"model", [](const PolicyVerdict& verdict) { return or_dash(verdict.model); }},
        {"tpp", [](const PolicyVerdict& verdict) { return or_dash(verdict.tpp); }},
        {"policy version",
         [](const PolicyVerdict& verdict) {
             return verdict.version ? std::to_string(*verdict.version) : std::string("a draft");
         }},
    };
}

void show_policy(Context& context) {
    const Policy policy = context.client().policy();
    if (context.format() == Format::json) return print_json(to_json(policy));
    Context::message(policy.version == 0 ? "version 0: the one built into the server"
                                         : fmt::format("version {}, set {} by {}", policy.version,
                                                       policy.created_at, policy.created_by));
    print_text(policy.text);
}

/// The text replaces the version that is there now; if another was set meanwhile the server refuses.
void set_policy(Context& context, const std::string& file) {
    const NewPolicy wanted{context.client().policy().version, read_text(file)};
    const Policy policy = context.client().set_policy(wanted);
    if (context.format() == Format::json) return print_json(to_json(policy));
    Context::message(
        fmt::format("version {} with {} rules decides from now on", policy.version, policy.rules.size()));
}

struct TestArguments {
    std::string file;  ///< empty: the policy that decides now
    PolicyCase facts;
};

void add_policy_test(CLI::App& policy, Context& context) {
    auto& test = *policy.add_subcommand("test", "Say which rule would decide a case");
    const auto given = std::make_shared<TestArguments>();
    PolicyCase& facts = given->facts;
    test.add_option("--file", given->file, "Try this draft instead of what decides now; - is stdin")
        ->type_name("FILE");
    test.add_option("--model", facts.model, "Of the catalog; without it, a card the catalog does not know");
    test.add_option("--device-class", facts.device_class, "gpu, cpu or accelerator; the default is gpu");
    test.add_option("--host-country", facts.host_country, "Where the host stands, like DE")->required();
    test.add_option("--owner-country", facts.owner_country,
                    "Where its owner is; the default is the host's");
    test.add_option("--renter-country", facts.renter_country, "Where the renter is")->required();
    test.add_option("--end-use", facts.end_use, "ai_training, ai_inference, rendering, …");
    on_run(context, test, given, [](Context& with, const TestArguments& arguments) {
        Client& client = with.client();
        print_one(with,
                  arguments.file.empty()
                      ? client.test_policy(arguments.facts)
                      : client.test_policy(PolicyDraft{read_text(arguments.file), arguments.facts}),
                  verdict_fields());
    });
}

void add_policy(CLI::App& admin, Context& context) {
    CLI::App& policy = add_noun(admin, "policy", "Who may rent which card from where");
    on_run(context, *policy.add_subcommand("show", "Print the text that decides now"), &show_policy);
    auto& set = *policy.add_subcommand("set", "Put a new version; schema/policy/README.md has the grammar");
    const auto file = std::make_shared<std::string>();
    set.add_option("file", *file, "The whole text; - is stdin")->required()->type_name("FILE");
    on_run(context, set, file, &set_policy);
    add_policy_test(policy, context);
}

void add_approvals(CLI::App& admin, Context& context) {
    CLI::App& approval = add_noun(admin, "approval", "What a policy lets through only by your word");
    auto& create = *approval.add_subcommand("create", "Let an organization have a model");
    const auto wanted = std::make_shared<NewApproval>();
    create.add_option("--organization", wanted->organization_id, "Whose orders")
        ->required()
        ->type_name("ID");
    create.add_option("--model", wanted->model, "Of the catalog")->required();
    create.add_option("--note", wanted->note, "Why")->required();
    on_run(context, create, wanted, [](Context& with, const NewApproval& given) {
        print_one(with, with.client().create_approval(given, with.call_options()), approval_list());
    });
    add_list<Approval>(approval, context, "list", "List the approvals", &Client::approvals, &approval_list);
    auto& remove = *approval.add_subcommand("remove", "Take an approval back; leases that run go on");
    const auto id = std::make_shared<std::string>();
    add_id(remove, *id, "approval");
    on_run(context, remove, id, [](Context& with, const std::string& approval_id) {
        with.client().remove_approval(approval_id);
        Context::message(approval_id + " is taken back");
    });
    CLI::App& order = add_noun(admin, "order", "Orders of any organization");
    add_act<Order>(order, context, "approve", "Let a standing order have what needs an approval", "order",
                   &Client::approve_order, &order_fields);
}

}  // namespace

void add_policy_commands(CLI::App& app, Context& context) {
    CLI::App& policy = add_noun(app, "policy", "Who may rent which card from where");
    on_run(context, *policy.add_subcommand("show", "Print the text that decides now"), &show_policy);
}

void add_admin_policy_commands(CLI::App& admin, Context& context) {
    add_policy(admin, context);
    add_approvals(admin, context);
}

}  // namespace fallow::cli

#include <fmt/format.h>

#include <fallow/human.hpp>
#include <fallow/receipt_verify.hpp>
#include <memory>

#include "commands.hpp"
#include "files.hpp"
#include "options.hpp"
#include "receipt_json.hpp"

namespace fallow::cli {
namespace {

struct VerifyArguments {
    std::string receipt_file;
    std::string server_key_file;
};

void print_report(const ReceiptReport& report) {
    std::vector<std::vector<std::string>> rows = {{"check", "result", "what"}};
    for (const ReceiptCheck& check : report.checks)
        rows.push_back({check.name, check.passed ? "pass" : "FAIL", check.detail});
    print_table(rows);
    if (!report.passed() || !report.facts) return;
    const ReceiptFacts& facts = *report.facts;
    print_text("\n");
    print_fields({{"lease", facts.lease},
                  {"end reason", facts.end_reason},
                  {"running", format_duration(facts.running_ms)},
                  {"charged", format_usd(facts.charged_micros)},
                  {"fee in it", format_usd(facts.fee_micros)},
                  {"signed by", facts.host_signed ? "server and host" : "server"}});
}

void verify(Context& context, const VerifyArguments& arguments) {
    const std::string pinned = read_word(arguments.server_key_file);
    const ReceiptReport report = verify_receipt(read_text(arguments.receipt_file), pinned);
    if (context.format() == Format::json) {
        print_json(report_json(report));
    } else {
        print_report(report);
    }
    if (!report.passed()) throw CommandFailed("the receipt is NOT genuine");
}

void show(Context& context, const std::string& lease_id) {
    const Receipt receipt = context.client().receipt(lease_id);
    if (context.format() == Format::json) return print_json(to_json(receipt));
    print_text(receipt.receipt);
    Context::message("save it with -o json to verify it offline");
}

}  // namespace

void add_receipt_commands(CLI::App& app, Context& context) {
    CLI::App& receipt = add_noun(app, "receipt", "Signed statements of what a lease used and cost");

    auto& showing = *receipt.add_subcommand("show", "Fetch the receipt of a lease that has ended");
    const auto id = std::make_shared<std::string>();
    add_id(showing, *id, "lease");
    on_run(context, showing, id, &show);

    auto& verifying = *receipt.add_subcommand(
        "verify",
        "Check a receipt, offline, against the server key you pinned; no key inside it is trusted");
    const auto arguments = std::make_shared<VerifyArguments>();
    verifying
        .add_option("file", arguments->receipt_file,
                    "The receipt, as `receipt show -o json` prints it; - is stdin")
        ->required()
        ->type_name("FILE");
    verifying.add_option("--server-key", arguments->server_key_file, "The server's server_signing.pub")
        ->required()
        ->type_name("FILE");
    on_run(context, verifying, arguments, &verify);
}

}  // namespace fallow::cli

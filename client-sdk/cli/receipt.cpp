#include <fmt/format.h>

#include <fallow/human.hpp>
#include <fallow/receipt_verify.hpp>
#include <memory>

#include "commands.hpp"
#include "options.hpp"
#include "receipt_json.hpp"
#include "verification.hpp"

namespace fallow::cli {
namespace {

void print_report(const ReceiptReport& report) {
    print_checks(report.checks);
    if (!report.passed() || !report.facts) return;
    const ReceiptFacts& facts = *report.facts;
    print_text("\n");
    print_fields({{"lease", facts.lease},
                  {"end reason", facts.end_reason},
                  {"running", format_duration(facts.running_ms)},
                  {"charged", format_usd(facts.charged_micros)},
                  {"storage in it", format_usd(facts.storage ? facts.storage->micros : 0)},
                  {"traffic in it", format_usd(facts.traffic ? facts.traffic->micros : 0)},
                  {"traffic", fmt::format("{} MiB", facts.traffic ? facts.traffic->mib : 0)},
                  {"fee in it", format_usd(facts.fee_micros)},
                  {"signed by", facts.host_signed ? "server and host" : "server"}});
}

void verify(Context& context, const std::string& document, const std::string& pinned_key) {
    const ReceiptReport report = verify_receipt(document, pinned_key);
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

    add_verify(receipt, context, "receipt show", &verify);
}

}  // namespace fallow::cli

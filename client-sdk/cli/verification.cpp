#include "verification.hpp"

#include <fmt/format.h>

#include <memory>

#include "files.hpp"
#include "options.hpp"

namespace fallow::cli {
namespace {

struct VerifyArguments {
    std::string file;
    std::string server_key_file;
};

}  // namespace

void add_verify(
    CLI::App& noun, Context& context, const std::string& printed_by,
    std::function<void(Context&, const std::string& document, const std::string& pinned_key)> verify) {
    const std::string what = noun.get_name();
    auto& command = *noun.add_subcommand(
        "verify",
        fmt::format("Check a {}, offline, against the server key you pinned; no key inside it is trusted",
                    what));
    const auto arguments = std::make_shared<VerifyArguments>();
    command
        .add_option("file", arguments->file,
                    fmt::format("The {}, as `{} -o json` prints it; - is stdin", what, printed_by))
        ->required()
        ->type_name("FILE");
    command.add_option("--server-key", arguments->server_key_file, "The server's server_signing.pub")
        ->required()
        ->type_name("FILE");
    on_run(context, command, arguments,
           [verify = std::move(verify)](Context& with, const VerifyArguments& given) {
               const std::string pinned = read_word(given.server_key_file);
               verify(with, read_text(given.file), pinned);
           });
}

void print_checks(const std::vector<sdk::ReceiptCheck>& checks) {
    std::vector<std::vector<std::string>> rows = {{"check", "result", "what"}};
    for (const sdk::ReceiptCheck& check : checks)
        rows.push_back({check.name, check.passed ? "pass" : "FAIL", check.detail});
    print_table(rows);
}

}  // namespace fallow::cli

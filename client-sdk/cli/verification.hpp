// Signed documents checked offline: the same command for each noun that has them.
#pragma once

#include <CLI/CLI.hpp>
#include <fallow/receipt_verify.hpp>
#include <functional>
#include <string>
#include <vector>

#include "context.hpp"

namespace fallow::cli {

/// `fallow NOUN verify FILE --server-key FILE`. `verify` is given the document and the key that was pinned.
/// `printed_by` is the command that prints the document.
void add_verify(
    CLI::App& noun, Context& context, const std::string& printed_by,
    std::function<void(Context&, const std::string& document, const std::string& pinned_key)> verify);

/// A line for each check.
void print_checks(const std::vector<sdk::ReceiptCheck>& checks);

}  // namespace fallow::cli

// fallow-ledger-proof [--database-url URL] [--json]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checks.hpp"

namespace fallow_proof {
namespace {

constexpr int exit_clean = 0;
constexpr int exit_findings = 1;
constexpr int exit_usage = 2;
constexpr int exit_unreachable = 4;

constexpr const char* usage_text =
    "Recomputes the ledger of a Fallow database from its raw rows and names what does not follow.\n"
    "\n"
    "  fallow-ledger-proof [--database-url URL] [--json]\n"
    "\n"
    "  --database-url URL  a libpq connection string; default: the environment's FALLOW_DATABASE_URL\n"
    "  --json              one JSON object instead of a table\n"
    "\n"
    "Ends with 0 when everything follows, 1 with findings, 2 for a wrong call, 4 when the database cannot "
    "be read.\n";

struct Options {
    std::string url;
    bool json = false;
    bool help = false;
};

std::optional<Options> parse(int count, char** words) {
    Options options;
    if (const char* url = std::getenv("FALLOW_DATABASE_URL")) options.url = url;
    for (int i = 1; i < count; ++i) {
        const std::string_view word = words[i];
        if (word == "--json") {
            options.json = true;
        } else if (word == "--help" || word == "-h") {
            options.help = true;
        } else if (word == "--database-url" && i + 1 < count) {
            options.url = words[++i];
        } else if (word.starts_with("--database-url=")) {
            options.url = word.substr(word.find('=') + 1);
        } else {
            return std::nullopt;
        }
    }
    if (options.url.empty() && !options.help) return std::nullopt;
    return options;
}

std::string json_string(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result.push_back('\\');
            result.push_back(c);
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escaped[8];
            std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
            result += escaped;
        } else {
            result.push_back(c);
        }
    }
    return result + "\"";
}

void print_json(const Ledger& ledger, const std::vector<Finding>& findings) {
    std::string text = "{\"balanced\":";
    text += findings.empty() ? "true" : "false";
    text += ",\"transfers\":" + std::to_string(ledger.transfers);
    text += ",\"leases\":" + std::to_string(ledger.leases.size());
    text += ",\"accounts\":" + std::to_string(ledger.accounts.size()) + ",\"findings\":[";
    for (std::size_t i = 0; i < findings.size(); ++i) {
        const Finding& finding = findings[i];
        text += (i == 0 ? "{" : ",{");
        text += "\"check\":" + json_string(finding.check) + ",\"object\":" + json_string(finding.object) +
                ",\"expected\":" + json_string(finding.expected) +
                ",\"found\":" + json_string(finding.found) + "}";
    }
    std::printf("%s]}\n", text.c_str());
}

void print_table(const Ledger& ledger, const std::vector<Finding>& findings) {
    std::size_t check_width = 5;
    std::size_t object_width = 6;
    for (const Finding& finding : findings) {
        check_width = std::max(check_width, finding.check.size());
        object_width = std::max(object_width, finding.object.size());
    }
    if (!findings.empty())
        std::printf("%-*s  %-*s  EXPECTED -> FOUND\n", static_cast<int>(check_width), "CHECK",
                    static_cast<int>(object_width), "OBJECT");
    for (const Finding& finding : findings)
        std::printf("%-*s  %-*s  %s -> %s\n", static_cast<int>(check_width), finding.check.c_str(),
                    static_cast<int>(object_width), finding.object.c_str(), finding.expected.c_str(),
                    finding.found.c_str());
    std::printf("%lld transfers, %zu leases, %zu accounts: %s\n", static_cast<long long>(ledger.transfers),
                ledger.leases.size(), ledger.accounts.size(),
                findings.empty() ? "the ledger is balanced and every charge follows from its usage"
                                 : (std::to_string(findings.size()) + " findings").c_str());
}

int run(const Options& options) {
    std::vector<Finding> findings;
    const Report report = [&](Finding finding) { findings.push_back(std::move(finding)); };
    try {
        Source source(options.url);
        Ledger ledger = source.read_ledger();
        check_transfers(ledger, source, report);
        check_leases(ledger, report);
        check_reservations(ledger, report);
        check_journal(ledger, source, report);
        if (options.json) {
            print_json(ledger, findings);
        } else {
            print_table(ledger, findings);
        }
    } catch (const std::exception& error) {
        std::fprintf(stderr, "fallow-ledger-proof: the database cannot be read: %s\n", error.what());
        return exit_unreachable;
    }
    return findings.empty() ? exit_clean : exit_findings;
}

}  // namespace
}  // namespace fallow_proof

int main(int count, char** words) {
    const auto options = fallow_proof::parse(count, words);
    if (!options) {
        std::fputs(fallow_proof::usage_text, stderr);
        return fallow_proof::exit_usage;
    }
    if (options->help) {
        std::fputs(fallow_proof::usage_text, stdout);
        return fallow_proof::exit_clean;
    }
    return fallow_proof::run(*options);
}

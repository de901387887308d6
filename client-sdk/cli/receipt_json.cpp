#include "receipt_json.hpp"

#include <fallow/quote_verify.hpp>
#include <fallow/receipt_verify.hpp>
#include <nlohmann/json.hpp>

namespace fallow::cli {
namespace {

using Json = nlohmann::ordered_json;

Json checks_json(const std::vector<fallow::sdk::ReceiptCheck>& all) {
    Json checks = Json::array();
    for (const auto& check : all)
        checks.push_back({{"name", check.name}, {"passed", check.passed}, {"detail", check.detail}});
    return checks;
}

}  // namespace

std::string report_json(const fallow::sdk::QuoteReport& report) {
    const bool believed = report.passed() && report.facts;
    const Json document = {
        {"passed", report.passed()},
        {"checks", checks_json(report.checks)},
        {"quote", believed ? Json(report.facts->quote) : Json()},
        {"total_micros", believed ? Json(report.facts->total_micros) : Json()},
        {"expires_at", believed ? Json(report.facts->expires_at) : Json()},
    };
    return document.dump();
}

std::string report_json(const fallow::sdk::ReceiptReport& report) {
    const bool believed = report.passed() && report.facts;
    const Json document = {
        {"passed", report.passed()},
        {"checks", checks_json(report.checks)},
        {"lease", believed ? Json(report.facts->lease) : Json()},
        {"running_ms", believed ? Json(report.facts->running_ms) : Json()},
        {"charged_micros", believed ? Json(report.facts->charged_micros) : Json()},
        {"storage_micros",
         believed ? Json(report.facts->storage ? report.facts->storage->micros : 0) : Json()},
        {"egress_mib", believed ? Json(report.facts->traffic ? report.facts->traffic->mib : 0) : Json()},
        {"egress_micros",
         believed ? Json(report.facts->traffic ? report.facts->traffic->micros : 0) : Json()},
    };
    return document.dump();
}

}  // namespace fallow::cli

#include "receipt_json.hpp"

#include <fallow/receipt_verify.hpp>
#include <nlohmann/json.hpp>

namespace fallow::cli {

std::string report_json(const fallow::sdk::ReceiptReport& report) {
    using Json = nlohmann::ordered_json;
    Json checks = Json::array();
    for (const auto& check : report.checks)
        checks.push_back({{"name", check.name}, {"passed", check.passed}, {"detail", check.detail}});
    const bool believed = report.passed() && report.facts;
    const Json document = {
        {"passed", report.passed()},
        {"checks", std::move(checks)},
        {"lease", believed ? Json(report.facts->lease) : Json()},
        {"running_ms", believed ? Json(report.facts->running_ms) : Json()},
        {"charged_micros", believed ? Json(report.facts->charged_micros) : Json()},
    };
    return document.dump();
}

}  // namespace fallow::cli

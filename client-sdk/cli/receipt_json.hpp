// The outcome of a verification as JSON, for programs.
#pragma once

#include <string>

namespace fallow::sdk {
struct ReceiptReport;
struct QuoteReport;
}  // namespace fallow::sdk

namespace fallow::cli {

/// {"passed","checks":[{"name","passed","detail"}],"lease","running_ms","charged_micros","storage_micros",
/// "egress_mib","egress_micros"}; all after the checks are null unless every check passed.
[[nodiscard]] std::string report_json(const fallow::sdk::ReceiptReport& report);

/// {"passed","checks","quote","total_micros","expires_at"}; the last three likewise.
[[nodiscard]] std::string report_json(const fallow::sdk::QuoteReport& report);

}  // namespace fallow::cli

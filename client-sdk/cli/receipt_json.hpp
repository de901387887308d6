// The outcome of a verification as JSON, for programs.
#pragma once

#include <string>

namespace fallow::sdk {
struct ReceiptReport;
}

namespace fallow::cli {

/// {"passed","checks":[{"name","passed","detail"}],"charged_micros","running_ms","lease"}; the last three
/// are null unless every check passed.
[[nodiscard]] std::string report_json(const fallow::sdk::ReceiptReport& report);

}  // namespace fallow::cli

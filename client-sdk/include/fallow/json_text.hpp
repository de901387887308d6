// A part of an answer that is passed on as it is.
#pragma once

#include <string>

namespace fallow::sdk {

/// A JSON value the SDK gives no shape to, as text.
struct JsonText {
    std::string text = "null";
    friend bool operator==(const JsonText&, const JsonText&) = default;
};

}  // namespace fallow::sdk

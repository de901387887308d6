# Writes schema/policy/default.policy into a source file, so that a market has rules without a source tree.
# Sets FALLOW_POLICY_SOURCE to its path.
set(policy_file ${CMAKE_SOURCE_DIR}/schema/policy/default.policy)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${policy_file})
file(READ ${policy_file} policy_text)
set(FALLOW_POLICY_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/default_policy.cpp)
file(CONFIGURE OUTPUT ${FALLOW_POLICY_SOURCE} @ONLY CONTENT [[
#include "market/jurisdiction.hpp"

namespace fallow::market {

std::string_view default_policy_text() {
    return R"fallow_policy(@policy_text@)fallow_policy";
}

}  // namespace fallow::market
]])

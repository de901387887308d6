# Writes schema/openapi.yaml as JSON into a source file, so that fallowd serves its contract without a source tree.
# Sets FALLOW_OPENAPI_SOURCE to its path.
set(FALLOW_OPENAPI_SOURCE ${CMAKE_CURRENT_BINARY_DIR}/openapi_document.cpp)
add_custom_command(
  OUTPUT ${FALLOW_OPENAPI_SOURCE}
  COMMAND python3 ${CMAKE_CURRENT_SOURCE_DIR}/api/openapi_to_cpp.py ${CMAKE_SOURCE_DIR}/schema/openapi.yaml
          ${FALLOW_OPENAPI_SOURCE}
  DEPENDS ${CMAKE_SOURCE_DIR}/schema/openapi.yaml ${CMAKE_CURRENT_SOURCE_DIR}/api/openapi_to_cpp.py
  COMMENT "Writing the API contract into a source file"
  VERBATIM)

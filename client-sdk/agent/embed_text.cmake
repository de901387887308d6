# embed_text(OUT FILE NAME): a source file that defines `const char* const fallow::agent::NAME`, the text of FILE.
# OUT is set to its path. The text is read when CMake configures, and CMake configures again when FILE changes.
function(embed_text out file name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  set(path ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  file(CONFIGURE OUTPUT ${path} @ONLY CONTENT [[namespace fallow::agent {
extern const char* const @name@;
const char* const @name@ = R"embedded(@text@)embedded";
}  // namespace fallow::agent
]])
  set(${out} ${path} PARENT_SCOPE)
endfunction()

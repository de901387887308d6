# embed_text(OUT FILE NAME): a source file that defines `const char* const fallow::agent::NAME`, the text of FILE.
# OUT is set to its path. The text is read when CMake configures, and CMake configures again when FILE changes.
function(embed_text out file name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  write_embedded(path "${text}" ${name})
  set(${out} ${path} PARENT_SCOPE)
endfunction()

# embed_ptx(OUT FILE PRELUDE NAME): the same with the PTX that clang makes of the OpenCL C in FILE, after PRELUDE. It
# runs on NVIDIA's cards from compute capability 6.0 on; the driver translates it for each.
function(embed_ptx out file prelude name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file} ${prelude})
  find_program(FALLOW_CLANG NAMES clang clang-14 clang-15 clang-16 clang-19)
  if(NOT FALLOW_CLANG)
    message(FATAL_ERROR "clang is missing, which makes PTX of ${file}: install Debian's package clang")
  endif()
  execute_process(
    COMMAND ${FALLOW_CLANG} -x cl -cl-std=CL2.0 -Xclang -finclude-default-header -Xclang -cl-ext=+cl_khr_fp16
      -target nvptx64-nvidia-cuda -Xclang -target-cpu -Xclang sm_60 -nogpulib -O2 -S -include ${prelude} ${file} -o -
    OUTPUT_VARIABLE text ERROR_VARIABLE errors RESULT_VARIABLE code)
  if(NOT code EQUAL 0)
    message(FATAL_ERROR "${FALLOW_CLANG} makes no PTX of ${file}:\n${errors}")
  endif()
  write_embedded(path "${text}" ${name})
  set(${out} ${path} PARENT_SCOPE)
endfunction()

function(write_embedded out text name)
  set(path ${CMAKE_CURRENT_BINARY_DIR}/${name}.cpp)
  file(CONFIGURE OUTPUT ${path} @ONLY CONTENT [[namespace fallow::agent {
extern const char* const @name@;
const char* const @name@ = R"embedded(@text@)embedded";
}  // namespace fallow::agent
]])
  set(${out} ${path} PARENT_SCOPE)
endfunction()

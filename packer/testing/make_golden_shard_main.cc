// Writes the golden shard to the file that the first argument names.
#include <cstdio>
#include <fstream>

#include "packer/testing/golden_shard.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_golden_shard FILE\n");
    return 2;
  }
  std::ofstream file(argv[1], std::ios::binary);
  file << navit::testing::MakeGoldenShard();
  file.close();
  return file.good() ? 0 : 1;
}

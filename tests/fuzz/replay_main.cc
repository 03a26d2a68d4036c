// Runs a fuzz target over the files of its kept corpus, without libFuzzer: what once crashed a
// reader, and what reaches far into it, stays tested in every build.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/files.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

// The targets with a mutator of their own link against libFuzzer's; nothing is mutated here.
extern "C" size_t LLVMFuzzerMutate(uint8_t*, size_t size, size_t) { return size; }

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1])) {
    paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) {
    const absl::StatusOr<std::string> bytes = navit::ReadFile(path);
    if (!bytes.ok()) {
      std::fprintf(stderr, "%s\n", bytes.status().ToString().c_str());
      return 1;
    }
    // Named before it runs: a crash says nothing of its input.
    std::fprintf(stderr, "%s (%zu bytes)\n", path.c_str(), bytes->size());
    // A copy of exactly that size, so that a sanitizer sees a read beyond its end.
    const std::vector<uint8_t> data(bytes->begin(), bytes->end());
    LLVMFuzzerTestOneInput(data.data(), data.size());
  }
  if (paths.empty()) {
    std::fprintf(stderr, "%s: no files\n", argv[1]);
    return 1;
  }
  std::printf("%zu inputs\n", paths.size());
  return 0;
}

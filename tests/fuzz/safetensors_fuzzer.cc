// The reader of weights: everything behind the file's hash, which is always right here.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "tests/fuzz/memory_file.h"
#include "worker/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const navit::fuzz::MemoryFile file(data, size);
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto read = navit::Safetensors::Read(file.path(), {size, navit::HashHex(bytes)});
  if (!read.ok()) {
    if (!absl::IsDataLoss(read.status())) std::abort();
    return 0;
  }
  // Values lie within the file: a sum touches each of them.
  double sum = 0;
  for (const char* name : {"", "a", "b"}) {
    for (const int64_t rows : {0, 1, 2, 3}) {
      const auto values = read->Find(name, {rows});
      if (!values.ok()) continue;
      for (const float value : *values) sum += value;
    }
  }
  return sum == 0.5 ? 1 : 0;
}

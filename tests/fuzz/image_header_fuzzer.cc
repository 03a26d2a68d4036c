// The reader of image headers: also what it says of any beginning of the bytes.
#include <cstdint>
#include <cstdlib>

#include "packer/image_header.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const size_t part : {size, size / 2, size / 7}) {
    const navit::ImageHeader header = navit::ReadImageHeader(bytes.substr(0, part));
    if (header.orientation < 1 || header.orientation > 8) std::abort();
    if ((header.width == 0) != (header.height == 0)) std::abort();
  }
  return 0;
}

// The reader of the strings at a path of a sample's json member, and what becomes of its captions.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "packer/caption.h"
#include "packer/limits.h"
#include "packer/utf8.h"

namespace {

void Check(const std::vector<std::string>& captions) {
  if (captions.size() > navit::kMaxCaptions) std::abort();
  for (const std::string& caption : captions) {
    if (caption.empty() || !navit::IsValidUtf8(caption)) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view bytes(reinterpret_cast<const char*>(data), size);
  navit::CaptionField field;
  Check(navit::ExtractCaptions(field, bytes));
  field.lines = true;
  Check(navit::ExtractCaptions(field, bytes));
  field = {navit::CaptionField::kJson, {"a"}, false};
  Check(navit::ExtractCaptions(field, bytes));
  field.path.push_back("b");
  Check(navit::ExtractCaptions(field, bytes));
  return 0;
}

// The reader of a field of a sample's json member, and what becomes of its caption.
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "packer/text.h"
#include "packer/utf8.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view json(reinterpret_cast<const char*>(data), size);
  const navit::CaptionField field{navit::CaptionField::kJson, "a"};
  const std::optional<std::string> caption = navit::ExtractCaption(field, json);
  if (!caption.has_value()) return 0;
  if (caption->empty() || !navit::IsValidUtf8(*caption)) std::abort();
  std::string ids;
  const uint32_t tokens = navit::AppendByteTokens(*caption, 64, &ids);
  if (tokens > 64 || ids.size() != 2 * tokens) std::abort();
  return 0;
}

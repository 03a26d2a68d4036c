#include "worker/parameter_tensors.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace navit {

void AddTensors(const ParameterTable& table, const AlignedBuffer& buffer, const std::string& prefix,
                std::vector<TensorView>* views) {
  for (const ParameterInfo& info : table.entries()) {
    views->push_back({absl::StrCat(prefix, info.name), info.shape,
                      buffer.span().subspan(info.offset, info.size)});
  }
}

absl::Status CopyTensors(const ParameterTable& table, const Safetensors& file,
                         const std::string& prefix, AlignedBuffer* buffer) {
  std::fill_n(buffer->data(), buffer->size(), 0.0f);
  for (const ParameterInfo& info : table.entries()) {
    NAVIT_ASSIGN_OR_RETURN(const absl::Span<const float> values,
                           file.Find(absl::StrCat(prefix, info.name), info.shape));
    std::copy(values.begin(), values.end(), buffer->data() + info.offset);
  }
  return absl::OkStatus();
}

}  // namespace navit

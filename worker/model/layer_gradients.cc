#include "worker/model/layer_gradients.h"

#include <cmath>

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace navit {
namespace {

// The first two parts of a name, and of a block's the number too.
std::string LayerOf(const std::string& name) {
  std::vector<std::string> parts = absl::StrSplit(name, '.');
  const size_t kept = parts.size() > 2 && parts[1] == "blocks" ? 3 : 2;
  if (parts.size() > kept) parts.resize(kept);
  return absl::StrJoin(parts, ".");
}

}  // namespace

std::vector<std::pair<std::string, double>> LayerGradientNorms(const ParameterTable& table,
                                                               const float* gradients) {
  std::vector<std::pair<std::string, double>> norms;
  for (const ParameterInfo& info : table.entries()) {
    const std::string layer = LayerOf(info.name);
    if (norms.empty() || norms.back().first != layer) norms.emplace_back(layer, 0.0);
    for (size_t i = info.offset; i < info.offset + info.size; ++i) {
      norms.back().second += static_cast<double>(gradients[i]) * gradients[i];
    }
  }
  for (auto& [layer, norm] : norms) norm = std::sqrt(norm);
  return norms;
}

}  // namespace navit

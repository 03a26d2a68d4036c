#include "worker/model/embed.h"

#include "worker/model/cpu_forward.h"
#include "worker/model/embed-inl.h"

namespace navit {

std::unique_ptr<PackEmbedder> MakeCpuEmbedder(const ParameterTable* table, const float* parameters,
                                              int64_t joined_tokens, kernels::ThreadPool* pool) {
  return std::make_unique<EmbedderOn<CpuForward>>(table, joined_tokens,
                                                  CpuForward(parameters, pool));
}

}  // namespace navit

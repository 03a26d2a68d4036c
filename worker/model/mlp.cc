#include "worker/model/mlp.h"

#include "worker/model/mlp-inl.h"

namespace navit {

template class Mlp<CpuOps>;

}  // namespace navit

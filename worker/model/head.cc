#include "worker/model/head.h"

#include "worker/model/head-inl.h"

namespace navit {

template class Head<CpuOps>;

}  // namespace navit

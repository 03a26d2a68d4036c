#include "worker/model/norm.h"

#include "worker/model/norm-inl.h"

namespace navit {

template class Norm<CpuOps>;

}  // namespace navit

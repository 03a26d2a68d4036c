#include "worker/model/tower.h"

#include "worker/model/tower-inl.h"

namespace navit {

template class Tower<CpuOps>;

}  // namespace navit

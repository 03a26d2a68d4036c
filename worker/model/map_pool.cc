#include "worker/model/map_pool.h"

#include "worker/model/map_pool-inl.h"

namespace navit {

template class MapPool<CpuOps>;

}  // namespace navit

#include "worker/model/block.h"

#include "worker/model/block-inl.h"

namespace navit {

template class Block<CpuOps>;

}  // namespace navit

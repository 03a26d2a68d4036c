#include "worker/model/image_tower.h"

#include "worker/model/image_tower-inl.h"

namespace navit {

template class ImageTower<CpuOps>;

}  // namespace navit

#include "worker/model/text_tower.h"

#include "worker/model/text_tower-inl.h"

namespace navit {

template class TextTower<CpuOps>;

}  // namespace navit

#include "worker/model/device/towers.h"

#include "worker/model/block-inl.h"
#include "worker/model/head-inl.h"
#include "worker/model/image_tower-inl.h"
#include "worker/model/map_pool-inl.h"
#include "worker/model/mlp-inl.h"
#include "worker/model/norm-inl.h"
#include "worker/model/text_tower-inl.h"
#include "worker/model/tower-inl.h"

namespace navit {

template class ImageTower<DeviceOps>;
template class TextTower<DeviceOps>;

}  // namespace navit

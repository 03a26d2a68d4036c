// The towers on a GPU, compiled once.
#ifndef NAVIT_WORKER_MODEL_DEVICE_TOWERS_H_
#define NAVIT_WORKER_MODEL_DEVICE_TOWERS_H_

#include "worker/model/device/ops.h"
#include "worker/model/device/position_embedding.h"
#include "worker/model/image_tower.h"
#include "worker/model/text_tower.h"

namespace navit {

extern template class ImageTower<DeviceOps>;
extern template class TextTower<DeviceOps>;

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_TOWERS_H_

// How a learned table is read where the grid has another number of rows than the table.
#ifndef NAVIT_WORKER_MODEL_RESAMPLE_WEIGHTS_H_
#define NAVIT_WORKER_MODEL_RESAMPLE_WEIGHTS_H_

#include <cstdint>
#include <vector>

#include "proto/job_spec.pb.h"

namespace navit {

// Weights [side, rows] with which an axis of `rows` table rows is resized to `side` places: centres
// at half pixels, and a filter that is widened by rows / side where the table is reduced
// (antialias). LINEAR_ANTIALIAS: a triangle; CUBIC_ANTIALIAS: Keys' cubic with a = -0.5. Weights
// that fall outside of the table are left out and the others add up to 1: PyTorch's interpolate
// with antialias=True, align_corners=False, on which timm's towers rest. With side == rows each
// place reads its row.
std::vector<float> ResampleWeights(v1::ImageTowerSpec::Interpolation interpolation, int64_t rows,
                                   int64_t side);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_RESAMPLE_WEIGHTS_H_

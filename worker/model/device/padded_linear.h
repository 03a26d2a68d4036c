// Linear layers with a side that is no multiple of 8 numbers, on a GPU: patches of 14 × 14, a
// classifier of ten classes.
//
// cuBLASLt's kernels for bf16 want rows of whole 16-byte units. So operands are copied to working
// memory with zeros behind their rows, and the product goes through fp32 working memory. That costs
// a pass over each operand and two over the result.
#ifndef NAVIT_WORKER_MODEL_DEVICE_PADDED_LINEAR_H_
#define NAVIT_WORKER_MODEL_DEVICE_PADDED_LINEAR_H_

#include "worker/model/device/context.h"
#include "worker/model/device/ops.h"

namespace navit {

// Whether cuBLASLt takes a layer of `in` to `out` numbers as it lies.
bool HasWholeUnits(int64_t in, int64_t out);

// As DeviceOps' operations of these names, for any in and out; dbias is left to the caller.
void PaddedLinearForward(const DeviceOps::LinearForwardArgs& args, DeviceContext& context);
void PaddedLinearBackwardInput(const DeviceOps::LinearBackwardInputArgs& args,
                               DeviceContext& context);
void PaddedLinearBackwardWeight(const DeviceOps::LinearBackwardWeightArgs& args,
                                DeviceContext& context);

}  // namespace navit

#endif  // NAVIT_WORKER_MODEL_DEVICE_PADDED_LINEAR_H_

// Whether what came over the network is the pack that it says it is.
#ifndef NAVIT_WORKER_PACK_CHECK_H_
#define NAVIT_WORKER_PACK_CHECK_H_

#include "absl/status/status.h"
#include "proto/pack.pb.h"

namespace navit {

// Whether the payload has the header's length and hash, and the pack is of `split`; DataLoss names
// the pack.
absl::Status CheckPack(const v1::Frame& pack, v1::Split split);

}  // namespace navit

#endif  // NAVIT_WORKER_PACK_CHECK_H_

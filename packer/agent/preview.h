// The picture of a training window's first sequences, from the job's own planner and maker.
#ifndef NAVIT_PACKER_AGENT_PREVIEW_H_
#define NAVIT_PACKER_AGENT_PREVIEW_H_

#include "absl/status/statusor.h"
#include "packer/agent/data_plane.h"
#include "packer/agent/shard_sample.h"
#include "proto/job_spec.pb.h"
#include "proto/probe.pb.h"

namespace navit {

inline constexpr size_t kMaxPreviewBytes = size_t{16} << 20;

// `sample`: where `packs` come from; null: all data of the job. Errors are those of
// JobPacks::Plan and Make. Of more rows than fit kMaxPreviewBytes the first are drawn.
absl::StatusOr<v1::PreviewReply> MakePreview(const v1::JobSpec& spec, const JobPacks& packs,
                                             const v1::PreviewWindow& wanted,
                                             const ShardSample* sample);

}  // namespace navit

#endif  // NAVIT_PACKER_AGENT_PREVIEW_H_

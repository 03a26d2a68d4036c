// Packs of SPLIT_PROMPTS: the sentences of evaluation.zero_shot as texts without images.
#ifndef NAVIT_PACKER_PROMPT_PACK_H_
#define NAVIT_PACKER_PROMPT_PACK_H_

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "packer/caption_index.h"
#include "packer/plan.h"
#include "proto/job_spec.pb.h"
#include "proto/pack.pb.h"

namespace navit {

// Adds the planned sentences to `*pack`, with their class as label, and counts them in `*header`.
// InvalidArgument: the job has no text tower (no `tokenizer`), or the tokenizer makes nothing of a
// sentence, which is named.
absl::Status AddPrompts(const v1::JobSpec& spec, const std::optional<CaptionTokenizer>& tokenizer,
                        const WindowPlan& plan, uint32_t pack_index, v1::Pack* pack,
                        v1::PackHeader* header);

}  // namespace navit

#endif  // NAVIT_PACKER_PROMPT_PACK_H_

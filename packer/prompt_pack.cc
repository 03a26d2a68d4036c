#include "packer/prompt_pack.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "common/prompts.h"
#include "packer/caption.h"

namespace navit {

absl::Status AddPrompts(const v1::JobSpec& spec, const std::optional<CaptionTokenizer>& tokenizer,
                        const WindowPlan& plan, uint32_t pack_index, v1::Pack* pack,
                        v1::PackHeader* header) {
  if (!tokenizer.has_value()) {
    return absl::InvalidArgumentError("evaluation.zero_shot: the job has no text tower");
  }
  const v1::ZeroShotSpec& zero_shot = spec.evaluation().zero_shot();
  for (uint32_t i = plan.pack_begin[pack_index]; i < plan.pack_begin[pack_index + 1]; ++i) {
    const uint64_t number = plan.examples[i].sample;
    const std::string text = PromptText(zero_shot, number);
    const uint32_t tokens = tokenizer->Append(text, pack->mutable_text());
    if (tokens == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("evaluation.zero_shot: the tokenizer makes nothing of \"", text, "\""));
    }
    pack->add_samples(number);
    pack->add_image_tokens(0);
    pack->add_grid_rows(0);
    pack->add_grid_columns(0);
    pack->add_text_tokens(tokens);
    pack->add_caption_hashes(CaptionHash(text));
    pack->add_labels(PromptClass(zero_shot, number));
    header->set_valid_examples(header->valid_examples() + 1);
  }
  return absl::OkStatus();
}

}  // namespace navit

#include "worker/tiny_job.h"

#include <xxhash.h>

#include <random>

#include "common/job_spec/resolve.h"

namespace navit {

v1::JobData TinyJob(const std::string& folder) {
  v1::JobData job;
  job.set_job("tiny");
  job.set_job_uid(3);
  job.set_manifest_hash("frozen");
  v1::JobSpec* spec = job.mutable_spec();
  spec->set_name("tiny");
  spec->mutable_checkpoints()->set_directory(folder);
  spec->mutable_checkpoints()->set_every_steps(4);
  spec->mutable_train_for()->set_steps(8);
  spec->mutable_data()->add_validation()->set_shards("/nowhere");
  spec->mutable_packing()->set_sequences_per_step(4);
  spec->mutable_packing()->set_sequence_length(64);
  v1::ImageTowerSpec* image = spec->mutable_model()->mutable_image();
  image->set_preset("mu");
  image->mutable_size()->set_width(32);
  image->mutable_size()->set_depth(1);
  image->mutable_size()->set_mlp_dim(64);
  image->mutable_size()->set_heads(2);
  image->set_patch_size(4);
  image->set_max_grid(8);
  spec->mutable_model()->mutable_text()->set_max_tokens(8);
  spec->mutable_timeouts()->set_coordinator_grace_seconds(60);
  ResolveJobSpec(spec);
  return job;
}

v1::PullReply TinyPack(const v1::JobData& job, uint64_t ordinal, v1::Split split) {
  std::mt19937_64 random(ordinal * 7 + split);
  const bool texts_alone = split == v1::SPLIT_PROMPTS;
  const uint32_t classes = job.spec().model().classes();
  v1::Pack pack;
  pack.set_patch_size(4);
  std::string patches, positions, text;
  const auto put16 = [](std::string* out, uint16_t value) {
    out->push_back(static_cast<char>(value & 0xff));
    out->push_back(static_cast<char>(value >> 8));
  };
  for (uint32_t i = 0; i < kTinyExamples; ++i) {
    const uint32_t tokens = texts_alone ? 0 : 2 + random() % 6;
    const uint32_t words = 2 + random() % 4;
    pack.add_samples(ordinal * kTinyExamples + i);
    pack.add_image_tokens(tokens);
    pack.add_grid_rows(texts_alone ? 0 : 4);
    pack.add_grid_columns(texts_alone ? 0 : 4);
    for (uint32_t t = 0; t < tokens; ++t) {
      put16(&positions, t / 4);
      put16(&positions, t % 4);
      for (int b = 0; b < 48; ++b) patches.push_back(static_cast<char>(random()));
    }
    pack.add_text_tokens(words);
    for (uint32_t w = 0; w < words; ++w) put16(&text, random() % 258);
    pack.add_caption_hashes(1 + random());
    if (classes > 0) pack.add_labels((ordinal * kTinyExamples + i) % classes);
  }
  pack.set_patches(patches);
  pack.set_positions(positions);
  pack.set_text(text);
  v1::PullReply reply;
  pack.SerializeToString(reply.mutable_payload());
  v1::PackHeader* header = reply.mutable_header();
  header->set_job(job.job());
  header->set_window(ordinal);
  header->set_split(split);
  header->set_content_hash(XXH3_64bits(reply.payload().data(), reply.payload().size()));
  header->set_payload_bytes(reply.payload().size());
  header->set_examples(kTinyExamples);
  header->set_valid_examples(kTinyExamples);
  return reply;
}

}  // namespace navit

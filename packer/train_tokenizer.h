// A SentencePiece model of the captions that a job trains on: what `navit-packer train-tokenizer`
// makes.
#ifndef NAVIT_PACKER_TRAIN_TOKENIZER_H_
#define NAVIT_PACKER_TRAIN_TOKENIZER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "common/object_store/object_store.h"
#include "packer/sentencepiece/model.h"
#include "proto/job_spec.pb.h"

namespace navit {

struct TokenizerTraining {
  SentencePieceTraining model;
  // Of more captions so many are learnt from, each set of them equally likely: all of them are held
  // in memory.
  uint64_t most_captions = 1000000;
};

struct TrainedTokenizer {
  // The model's file.
  std::string bytes;
  // Captions that there are, and that it was made from.
  uint64_t captions = 0;
  uint64_t captions_used = 0;
};

// Learns from all captions of the shards of data.train, which are indexed where they are not yet
// (data.index says where to). `data` is of a resolved spec. Equal shards and settings give equal
// bytes, whatever the paths of the shards, as long as their order is the same.
//
// Errors of ExpandShardPattern, IndexShard and ForEachCaptions name the field or the shard;
// InvalidArgument also: no caption at all, or too few for the vocabulary.
absl::StatusOr<TrainedTokenizer> TrainTokenizer(ObjectStore* store, const v1::DataSpec& data,
                                                const TokenizerTraining& training);

}  // namespace navit

#endif  // NAVIT_PACKER_TRAIN_TOKENIZER_H_

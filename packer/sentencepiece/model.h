// SentencePiece models: use one, train one. See bridge.h for why the library stands apart.
#ifndef NAVIT_PACKER_SENTENCEPIECE_MODEL_H_
#define NAVIT_PACKER_SENTENCEPIECE_MODEL_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace navit {

// Thread-safe.
class SentencePieceModel {
 public:
  // From the bytes of a model file. InvalidArgument: not a model. Unimplemented: libnavit_
  // sentencepiece.so cannot be opened, or this is an AddressSanitizer build, which does not allow
  // the way in which it must be.
  static absl::StatusOr<std::unique_ptr<SentencePieceModel>> Load(absl::string_view bytes);
  ~SentencePieceModel();
  SentencePieceModel(const SentencePieceModel&) = delete;
  SentencePieceModel& operator=(const SentencePieceModel&) = delete;

  uint32_t pieces() const { return pieces_; }
  // Ids of the tokens before and after a text; -1: the model has none.
  int32_t begin() const { return begin_; }
  int32_t end() const { return end_; }

  // Ids of the pieces of `text`, without begin and end. Empty: it normalises to nothing.
  std::vector<int32_t> Encode(absl::string_view text) const;

 private:
  SentencePieceModel(void* model);

  void* const model_;
  uint32_t pieces_ = 0;
  int32_t begin_ = -1;
  int32_t end_ = -1;
};

struct SentencePieceTraining {
  // Pieces of the model, the 256 bytes, unknown, begin and end among them.
  uint32_t vocabulary_size = 8000;
  // Share of the characters seen that get a piece of their own; the rest is spelled in bytes.
  double character_coverage = 0.9995;
  int threads = 1;
};

// Trains a unigram model with byte fallback on the texts that `next` gives until it gives none, and
// returns the bytes of its file; equal texts in equal order give equal bytes. InvalidArgument: too
// few texts for the vocabulary, in SentencePiece's own words. Unimplemented: as in Load.
absl::StatusOr<std::string> TrainSentencePieceModel(
    const SentencePieceTraining& training,
    const std::function<std::optional<absl::string_view>()>& next);

// False in an AddressSanitizer build: no model can be used.
bool SentencePieceAvailable();

}  // namespace navit

#endif  // NAVIT_PACKER_SENTENCEPIECE_MODEL_H_

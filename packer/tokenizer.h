// From a caption to token ids.
#ifndef NAVIT_PACKER_TOKENIZER_H_
#define NAVIT_PACKER_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/object_store/object_store.h"
#include "proto/job_spec.pb.h"

namespace navit {

// Thread-safe; ids are a pure function of (tokenizer, caption, max_tokens).
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Ids are below it.
  virtual uint32_t vocabulary_size() const = 0;

  // Appends uint16 little-endian token ids to `ids` and returns their number: begin, as many tokens
  // of the text as fit, end; at most max_tokens >= 4. 0: the tokenizer makes nothing of the
  // caption, which is then as good as empty.
  virtual uint32_t Append(absl::string_view caption, uint32_t max_tokens,
                          std::string* ids) const = 0;
};

// The byte tokenizer: begin 0, end 1, and every byte b of the UTF-8 text as b + 2. A character that
// does not fit whole is left out whole.
std::unique_ptr<const Tokenizer> MakeByteTokenizer();

// The tokenizer of a resolved spec: bytes, or the SentencePiece model `text.tokenizer` with its
// begin and end tokens, if it has them, read from `store`. Models in use are shared.
//
// FailedPrecondition: the file no longer has text.tokenizer_hash, or its vocabulary is not
// text.vocabulary_size ("changed under the job"). InvalidArgument: not a model. NotFound /
// Unavailable: it cannot be read. Unimplemented: as SentencePieceModel::Load. All name the file.
absl::StatusOr<std::shared_ptr<const Tokenizer>> OpenTokenizer(ObjectStore* store,
                                                               const v1::TextTowerSpec& text);

}  // namespace navit

#endif  // NAVIT_PACKER_TOKENIZER_H_

// A checkpoint as a folder to give away: weights, what they mean, and how to use them.
#ifndef NAVIT_WORKER_WEIGHTS_EXPORT_H_
#define NAVIT_WORKER_WEIGHTS_EXPORT_H_

#include <string>

#include "absl/status/status.h"
#include "common/object_store/object_store.h"
#include "worker/weights/stored_model.h"

namespace navit {

// Makes the local folder `folder` from the checkpoint `checkpoint`, a path or a URL:
//   model.safetensors   the weights, by the names of worker/model/parameters.h: text and image
//                       tower, or the image tower with its classifier
//   config.json         name, preprocess, model, loss and evaluation of the job, in its dialect
//   preprocess.json     from pixels to patches, for programs that know nothing of job files
//   tokenizer.model     the SentencePiece model, where there is one
//   scores.json         of the last evaluation, where there was one
//   README.md           a model card
// Files of these names are replaced. Errors: those of LoadStoredModel, ObjectStore and
// common/files.h.
absl::Status ExportModel(ObjectStore* store, const std::string& checkpoint, StoredWeights weights,
                         const std::string& folder);

}  // namespace navit

#endif  // NAVIT_WORKER_WEIGHTS_EXPORT_H_

// Labels: the class of a sample, from its members.
#ifndef NAVIT_PACKER_LABEL_H_
#define NAVIT_PACKER_LABEL_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "packer/caption.h"
#include "proto/job_spec.pb.h"

namespace navit {

// The labels of one data set.
struct LabelReader {
  // kCls or kJson.
  CaptionField field;
  // Of the job; labels are below.
  uint32_t classes = 0;
  // labels.if_missing is `fail`.
  bool fail_without = false;

  // nullopt: the data set has no labels. InvalidArgument names the field that is wrong.
  static absl::StatusOr<std::optional<LabelReader>> Create(const v1::LabelsSpec& labels,
                                                           uint32_t classes);

  // The label in the bytes of its member (empty: the sample has none); nullopt: none under `skip`.
  // `sample` names shard and key. FailedPrecondition names the sample: a class that the job does
  // not have, or no label under `fail`.
  absl::StatusOr<std::optional<uint32_t>> Read(absl::string_view member,
                                               absl::string_view sample) const;
};

}  // namespace navit

#endif  // NAVIT_PACKER_LABEL_H_

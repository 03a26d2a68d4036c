// The curve of a job as a TensorBoard event file.
//
// The file is a row of TFRecords, each an Event (proto/tensorboard.proto):
//
//   u64 length | u32 masked CRC of the length | length bytes | u32 masked CRC of the bytes
//
// little-endian, where masked(c) = rotate right by 15 bits, plus 0xa282ead8, and the CRC is CRC-32C
// (https://www.tensorflow.org/tutorials/load_data/tfrecord).
#ifndef NAVIT_CLI_TENSORBOARD_H_
#define NAVIT_CLI_TENSORBOARD_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/jobs.pb.h"

namespace navit {

// CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.
uint32_t Crc32c(absl::string_view bytes);

// One TFRecord.
std::string TfRecord(absl::string_view bytes);

// The whole file: loss, rates and scores by step. The time of a step is the job's start plus the
// time of all steps up to it.
std::string TensorboardEvents(const v1::Job& job, const v1::HistoryReply& history);

// Writes FOLDER/JOB/events.out.tfevents.SECONDS.navit, replacing one of the same start, and returns
// its path. The errors of common/files.h.
absl::StatusOr<std::string> WriteTensorboard(const std::string& folder, const v1::Job& job,
                                             const v1::HistoryReply& history);

}  // namespace navit

#endif  // NAVIT_CLI_TENSORBOARD_H_

// What of an image is seen in training: a part of it, perhaps mirrored, drawn anew in each epoch.
// The planner and the maker of packs draw the same, in integers and portable arithmetic.
#ifndef NAVIT_PACKER_AUGMENTATION_H_
#define NAVIT_PACKER_AUGMENTATION_H_

#include <cstdint>

#include "packer/image.h"
#include "packer/philox.h"
#include "proto/job_spec.pb.h"

namespace navit {

// The part of an image of width x height pixels that is seen. Its area is a share, uniform in
// [min_area, max_area], of the image's; its aspect ratio the image's times a factor, log-uniform in
// [1 / aspect_jitter, aspect_jitter]. A side that would be longer than the image's is cut to it.
// Its place is uniform. The whole image, without a draw, when the spec leaves nothing to draw.
Part DrawCrop(const v1::CropSpec& spec, uint32_t width, uint32_t height, Draws draws);

// True with probability `share`.
bool DrawFlip(double share, Draws draws);

}  // namespace navit

#endif  // NAVIT_PACKER_AUGMENTATION_H_

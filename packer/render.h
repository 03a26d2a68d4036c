// From the bytes of an image file to the pixels of its grid of patches.
#ifndef NAVIT_PACKER_RENDER_H_
#define NAVIT_PACKER_RENDER_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "packer/image.h"
#include "packer/resize.h"
#include "proto/data.pb.h"
#include "proto/job_spec.pb.h"
#include "proto/pack.pb.h"

namespace navit {

// What is to be seen of an image.
struct RenderRequest {
  v1::ShardIndex::ImageFormat format = v1::ShardIndex::IMAGE_FORMAT_NONE;
  // As stored in the file, before orientation.
  uint32_t width = 0;
  uint32_t height = 0;
  // EXIF's, mirrored where the image is to be (FlippedOrientation).
  uint32_t orientation = 1;
  // In the picture as it is stored.
  Part part;
  // Pixels of the result, after orientation.
  uint32_t target_width = 0;
  uint32_t target_height = 0;
  Rgb background = kWhite;
  Interpolation interpolation = Interpolation::kBicubic;
};

// Memory that images in turn reuse.
struct RenderBuffers {
  DecodedImage decoded;
  Image resized;
  Image oriented;
  ResizeScratch scratch;
};

// The two halves. Decoders and the resize work on the image as stored; it is turned last, when it
// is smallest. DecodeForRender: HOLE_REASON_NONE, or why the file cannot be used. The result of
// Render lies in `buffers`.
v1::HoleReason DecodeForRender(absl::string_view file, const RenderRequest& request,
                               RenderBuffers* buffers);
const Image& Render(const RenderRequest& request, RenderBuffers* buffers);

// preprocess.interpolation and .background of a resolved spec.
Interpolation InterpolationOf(const v1::PreprocessSpec& spec);
Rgb BackgroundOf(const v1::PreprocessSpec& spec);

}  // namespace navit

#endif  // NAVIT_PACKER_RENDER_H_
